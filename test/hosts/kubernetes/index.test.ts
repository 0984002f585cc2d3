import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { KubeConfig } from '@kubernetes/client-node'
import { afterEach, describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { Host } from '../../../src/hosts/host.ts'
import { type KubernetesConfig, type PodHostOptions, podHost } from '../../../src/hosts/kubernetes/index.ts'
import {
  type ApiServer,
  type ApiServerOptions,
  failure,
  runningPod,
  startApiServer,
} from '../../lab/kubernetes/api-server.ts'
import { startLink } from '../../lab/link.ts'

let cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
})

async function serve(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer(options)
  cleanups.push(() => server.close())
  return server
}

function fileOf(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'config')
  writeFileSync(file, text)
  return file
}

const selected = { namespace: 'storage', node: 'worker-1', selector: 'app=csi-node' } as const
const named = { namespace: 'storage', pod: 'csi-node-x7k2p' } as const

/** A host that needs no rights: the command that enters the node is left out. */
function hostOf(server: ApiServer, more: Partial<PodHostOptions> = {}, port?: number): Host {
  const file = fileOf(server.kubeconfig(port))
  return podHost({ ...selected, config: { file }, entry: [], ...more } as PodHostOptions)
}

async function failureOf(host: Host, server: ApiServer): Promise<VolumeExpansionError> {
  const error: unknown = await host.exec(['true']).then(
    (result) => new Error(`it succeeded: ${JSON.stringify(result)}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof VolumeExpansionError)) throw error
  expect(`${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)}`).not.toContain(server.token)
  expect(error).toMatchObject({ layer: 'host', remedy: expect.stringMatching(/\w/) })
  return error
}

describe('podHost', () => {
  test('is named after its cluster and node, whichever pod leads there, or after its pod', () => {
    const on = (options: PodHostOptions): string => podHost(options).id
    expect(on(selected)).toBe('kubernetes://default/nodes/worker-1')
    expect(on({ ...named, node: 'worker-1', config: { context: 'prod/eu' } })).toBe(
      'kubernetes://prod%2Feu/nodes/worker-1',
    )
    expect(on({ ...named, config: 'in-cluster' })).toBe(
      'kubernetes://in-cluster/namespaces/storage/pods/csi-node-x7k2p',
    )
    const ways = [
      { ...selected, config: 'in-cluster' },
      { ...named, node: 'worker-1', config: { context: 'admin@prod' } },
    ] as const
    expect(new Set(ways.map((way) => on({ ...way, cluster: 'prod' }))).size).toBe(1)
  })

  test.each([
    {},
    { namespace: 'a/b', pod: 'x' },
    { namespace: 'a', pod: '../secrets' },
    { namespace: 'a', pod: 'x', selector: 'y' },
    { namespace: 'a', selector: 'y' },
    { namespace: 'a', node: 'n' },
    { namespace: 'a', node: 'n', selector: ' ' },
    { namespace: 'a', node: 'n', selector: {} },
    { namespace: 'a', pod: 'x', container: 'C?' },
    { namespace: 'a', pod: 'x', entry: [''] },
    { namespace: 'a', pod: 'x', keepAlive: 0 },
    { namespace: 'a', pod: 'x', cluster: '' },
    { namespace: 'a', pod: 'x', config: { file: 'relative' } },
    { namespace: 'a', pod: 'x', runtimeDirectory: 'relative' },
  ])('refuses %j', (options) => {
    expect(() => podHost(options as unknown as PodHostOptions)).toThrow(TypeError)
  })

  test('takes the configuration of the package itself', async () => {
    const server = await serve()
    const own = new KubeConfig()
    own.loadFromString(server.kubeconfig())
    const config: KubernetesConfig = own
    const host = podHost({ ...selected, config, entry: [] })
    expect(host.id).toBe('kubernetes://lab/nodes/worker-1')
    expect((await host.exec(['echo', 'x'])).stdout).toBe('x\n')
  })

  test.each([{ file: '/no/such/kubeconfig' }, 'in-cluster'] as const)(
    'says that there is no configuration (%j)',
    async (config) => {
      const server = await serve()
      const error = await failureOf(podHost({ ...selected, config, entry: [] }), server)
      expect(error).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    },
  )

  test('says that there is no such context, and that the usual places hold nothing', async () => {
    const server = await serve()
    const file = fileOf(server.kubeconfig())
    const without = await failureOf(hostOf(server, { config: { file, context: 'absent' } }), server)
    expect(without).toMatchObject({ code: 'invalid-request', message: expect.stringContaining('absent') })
    expect((await hostOf(server, { config: { file, context: 'other' } }).exec(['true'])).ok).toBe(true)
    const empty = fileOf(JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [], contexts: [], users: [] }))
    const nothing = await failureOf(hostOf(server, { config: { file: empty } }), server)
    expect(nothing).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
  })
})

describe.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('over %s', (protocol) => {
  test('a batch is one stream, which is over when it is answered', async () => {
    const server = await serve({ protocols: [protocol] })
    const host = hostOf(server)
    const results = await host.batch([
      { exec: ['cat'], stdin: Buffer.alloc(200_000, 'x') },
      { read: 'stat', path: '/' },
      { exec: ['sh', '-c', 'echo "$1" >&2; exit 3', 'sh', "it's $HOME\n"], accept: [3], detached: true },
      { exec: ['printenv'], accept: [0, 1] },
    ])
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true])
    expect(results[0].stdout).toBe('x'.repeat(65_536))
    expect(results[2].stderr).toBe("it's $HOME\n\n")
    expect(results[3].stdout).not.toContain('FROM_THE_IMAGE')
    expect(server.streams).toEqual([protocol])
    await until(() => server.open === 0 && server.running === 0)
  })

  test('an abort ends what runs, also where the input alone cannot be ended', async () => {
    const server = await serve({ protocols: [protocol] })
    const controller = new AbortController()
    const { command, begun } = longCommand()
    const run = hostOf(server).exec(command, { signal: controller.signal })
    const refused = expect(run).rejects.toMatchObject({ code: 'aborted', outcome: 'unknown' })
    await until(begun)
    controller.abort(new Error('stop'))
    await refused
    await until(() => server.open === 0 && server.running === 0)
  })

  test('a stream that is lost leaves unknown what changes, and ends what runs', async () => {
    const server = await serve({ protocols: [protocol] })
    const host = hostOf(server)
    const { command, begun } = longCommand()
    const run = host.exec(command)
    const refused = expect(run).rejects.toMatchObject({
      ...{ code: 'host-unreachable', outcome: 'unknown', retryable: true },
    })
    await until(begun)
    server.cut()
    await refused
    await until(() => server.running === 0)
    expect((await host.exec(['true'])).ok).toBe(true)
  })
})

/** A command that goes on, and tells when it has begun. */
function longCommand(): { readonly command: readonly string[]; begun(): boolean } {
  const mark = fileOf('')
  rmSync(mark)
  return { command: ['sh', '-c', 'echo > "$1"; exec sleep 60', 'sh', mark], begun: () => existsSync(mark) }
}

async function until(check: () => boolean): Promise<void> {
  await expect.poll(check, { timeout: 15_000 }).toBe(true)
}

describe('the pod', () => {
  test('that a selector finds is looked for once, and with every stream it is seen to be the same', async () => {
    const server = await serve()
    const host = hostOf(server)
    for (let turn = 0; turn < 3; turn += 1) await host.exec(['true'])
    const list = '/api/v1/namespaces/storage/pods'
    expect(server.requests).toEqual([list, `${list}/csi-node-x7k2p`, `${list}/csi-node-x7k2p`])
  })

  test('that has a successor on its node is followed when it was found by a selector', async () => {
    const server = await serve()
    const host = hostOf(server)
    await host.exec(['true'])
    server.options = { pods: [runningPod({ deleting: true }), runningPod({ name: 'csi-node-b' })] }
    expect((await host.exec(['true'])).ok).toBe(true)
    server.options = { pods: [runningPod({ name: 'csi-node-c' })] }
    expect((await host.exec(['true'])).ok).toBe(true)
  })

  test('that has given its name to another one on its node is looked at anew; on another node it is refused', async () => {
    const server = await serve()
    const host = hostOf(server, { ...named, node: undefined, selector: undefined } as never)
    await host.exec(['true'])
    server.options = { pods: [runningPod({ uid: 'another' })] }
    expect((await host.exec(['true'])).ok).toBe(true)
    server.options = { pods: [runningPod({ uid: 'third', node: 'worker-2' })] }
    const streams = server.streams.length
    const error = await failureOf(host, server)
    expect(error).toMatchObject({ code: 'identity-mismatch', outcome: 'unchanged' })
    await until(() => server.open === 0 && server.running === 0)
    expect(server.streams.length).toBeLessThanOrEqual(streams + 1)
  })

  test('is chosen by its container: the only privileged one, or the named one', async () => {
    const server = await serve({ pods: [runningPod({ privileged: ['driver', 'resizer'] })] })
    expect(await failureOf(hostOf(server), server)).toMatchObject({ code: 'ambiguous', outcome: 'unchanged' })
    expect((await hostOf(server, { container: 'resizer' }).exec(['true'])).ok).toBe(true)
  })

  test.each([
    ['none', [], {}, 'not-found', false],
    ['on another node', [{ node: 'worker-2' }], { ...named, selector: undefined }, 'identity-mismatch', false],
    ['several', [{}, { name: 'csi-node-b' }], {}, 'ambiguous', false],
    ['absent', [{ name: 'another' }], { ...named, selector: undefined }, 'not-found', false],
    ['pending', [{ phase: 'Pending', ready: false }], {}, 'host-unreachable', true],
    ['pending, by name', [{ phase: 'Pending' }], { ...named, selector: undefined }, 'host-unreachable', true],
    ['not ready', [{ ready: false }], {}, 'host-unreachable', true],
    ['failing again and again', [{ waiting: 'CrashLoopBackOff' }], {}, 'host-unreachable', true],
    ['ended', [{ phase: 'Succeeded' }], {}, 'host-unreachable', false],
    ['being deleted', [{ deleting: true }], {}, 'host-unreachable', false],
    ['without hostPID', [{ hostPID: false }], {}, 'permission-denied', false],
    ['not privileged', [{ privileged: [], unprivileged: ['driver'] }], {}, 'permission-denied', false],
    ['in another container', [{}], { container: 'registrar' }, 'permission-denied', false],
    ['in an absent container', [{}], { container: 'absent' }, 'not-found', false],
  ] as const)('%s is refused before a stream is opened', async (_, pods, more, code, retryable) => {
    const server = await serve({ pods: pods.map(runningPod) })
    const error = await failureOf(hostOf(server, more as never), server)
    expect(error).toMatchObject({ code, retryable, outcome: 'unchanged' })
    expect(server.streams).toEqual([])
  })
})

describe('a refusal of the API server', () => {
  test.each([
    [false, 401, 'Unauthorized', 'authentication-failed'],
    [true, 401, 'Unauthorized', 'authentication-failed'],
    [false, 403, 'User "x" cannot list resource "pods"', 'permission-denied'],
    [true, 403, 'User "x" cannot get resource "pods/exec"', 'permission-denied'],
    [true, 404, 'pods "csi-node-x7k2p" not found', 'not-found'],
    [true, 400, 'container driver is not valid for pod csi-node-x7k2p', 'not-found'],
    [true, 500, 'unable to upgrade connection: container not found ("driver")', 'host-unreachable'],
    [true, 500, 'error dialing backend: dial tcp 10.0.0.4:10250: connect: connection refused', 'host-unreachable'],
    [true, 400, 'Upgrade request required', 'host-unreachable'],
    [true, 200, '<html>a gateway</html>', 'host-unreachable'],
    [false, 503, 'etcdserver: request timed out', 'host-unreachable'],
    [true, 429, 'too many requests', 'host-unreachable'],
  ] as const)('(stream: %s) %i %j is %s', async (inStream, status, message, code) => {
    const server = await serve({
      refuse: ({ exec }) => (exec === inStream ? failure(status, message) : undefined),
    })
    const error = await failureOf(hostOf(server), server)
    expect([error.code, error.outcome]).toEqual([code, 'unchanged'])
    if (status === 403) expect(error.remedy).toContain(inStream ? 'get and create on pods/exec' : 'list on pods')
    if (status >= 500) expect(error.retryable).toBe(true)
  })

  test('that is no JSON is told by its status', async () => {
    const server = await serve({ refuse: () => ({ status: 502, body: '' }) })
    const error = await failureOf(hostOf(server), server)
    expect(error).toMatchObject({ code: 'host-unreachable', message: expect.stringContaining('502') })
  })
})

describe('a node that cannot be entered', () => {
  test.each([
    [
      'OCI runtime exec failed: exec: "nsenter": executable file not found in $PATH: unknown',
      'tool-missing',
      'unchanged',
    ],
    ['error executing command in container: context deadline exceeded', 'host-unreachable', 'unknown'],
  ] as const)('because of the runtime (%s) is %s', async (runtimeFailure, code, outcome) => {
    const server = await serve({ runtimeFailure })
    expect(await failureOf(hostOf(server), server)).toMatchObject({ code, outcome })
  })

  test.each([
    ['echo "nsenter: cannot open /proc/1/ns/ipc: Permission denied" >&2; exit 1', 'permission-denied'],
    ['echo "nsenter: reassociate to namespace failed: Operation not permitted" >&2; exit 1', 'permission-denied'],
    ['echo "nsenter: failed to execute /bin/sh: No such file or directory" >&2; exit 127', 'tool-missing'],
    ['exit 127', 'tool-missing'],
    ['exit 1', 'host-unreachable'],
  ] as const)('because of %j is %s', async (script, code) => {
    const server = await serve()
    const host = hostOf(server, { entry: ['sh', '-c', script, 'sh'] })
    expect(await failureOf(host, server)).toMatchObject({ code, outcome: 'unchanged' })
  })

  test('because the image has no such program names it', async () => {
    const server = await serve()
    const error = await failureOf(hostOf(server, { entry: ['no-such-nsenter'] }), server)
    expect(error).toMatchObject({
      code: 'tool-missing',
      outcome: 'unchanged',
      remedy: expect.stringContaining('nsenter'),
    })
  })
})

describe('the connection', () => {
  test('that cannot be made is host-unreachable', async () => {
    const server = await serve()
    const error = await failureOf(hostOf(server, {}, 9), server)
    expect(error).toMatchObject({ code: 'host-unreachable', outcome: 'unchanged', retryable: true })
  })

  test('that nobody answers is given up', async () => {
    const server = await serve()
    const link = await startLink(server.port)
    cleanups.push(() => link.close())
    link.freeze()
    const error = await failureOf(hostOf(server, { connectTimeout: 300 }, link.port), server)
    expect(error).toMatchObject({ code: 'host-unreachable', outcome: 'unchanged', retryable: true })
  })

  test('is made for many runs at a time', async () => {
    const server = await serve()
    const host = hostOf(server)
    const results = await Promise.all(Array.from({ length: 24 }, (_, index) => host.exec(['echo', `${index}`])))
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}\n`))
  })

  test('that falls silent is given up', async () => {
    const server = await serve()
    const link = await startLink(server.port)
    cleanups.push(() => link.close())
    const host = hostOf(server, { keepAlive: 100 }, link.port)
    const { command, begun } = longCommand()
    const run = host.exec(command)
    const refused = expect(run).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unknown' })
    await until(begun)
    link.freeze()
    await refused
  })

  test('is believed in when a gateway swallows the pings, as long as the other side has spoken', async () => {
    const server = await serve({ answersPings: false })
    const host = hostOf(server, { keepAlive: 20 })
    expect((await host.exec(['sh', '-c', 'sleep 0.5; echo done'])).stdout).toBe('done\n')
  })
})
