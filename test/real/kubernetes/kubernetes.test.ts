import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hostCases } from '../../../src/conformance/hosts.ts'
import type { BatchItem, Host } from '../../../src/hosts/host.ts'
import { type PodHostOptions, podHost } from '../../../src/hosts/kubernetes/index.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { expand } from '../../../src/index.ts'
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../lab/kubernetes/api-server.ts'
import { type EmulatedNode, startNode } from '../../lab/kubernetes/node.ts'
import { startLink } from '../../lab/link.ts'

// An emulated API server whose pods are namespaces of this machine's kernel, and nsenter from them into those of an emulated node. As root.

let node: EmulatedNode
let base = ''
let directory = ''
let cleanups: (() => unknown)[] = []

beforeAll(async () => {
  // What is mounted below it is seen by the node, which has mounts of its own, too.
  base = fs.mkdtempSync(join(tmpdir(), 'real-kubernetes-'))
  fs.chmodSync(base, 0o755)
  run('mount', '--bind', base, base)
  run('mount', '--make-shared', base)
  node = await startNode()
})
afterAll(async () => {
  await node?.stop()
  run('umount', base)
  fs.rmSync(base, { recursive: true, force: true })
})
beforeEach(() => {
  directory = fs.mkdtempSync(join(base, 'case-'))
})
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
  fs.rmSync(directory, { recursive: true, force: true })
})

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

async function serve(options: ApiServerOptions = { inside: node.pod() }): Promise<ApiServer> {
  const server = await startApiServer(options)
  cleanups.push(() => server.close())
  return server
}

function optionsOf(server: ApiServer, folder: string, port?: number): PodHostOptions {
  const file = join(folder, `kubeconfig-${port ?? server.port}`)
  fs.writeFileSync(file, server.kubeconfig(port))
  return { namespace: 'storage', node: 'worker-1', selector: { app: 'csi-node' }, config: { file } }
}

/** Loop devices are few and shared: another program may have them all for a moment. */
async function attach(image: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const device = run('losetup', '--find', '--show', image)
      cleanups.push(() => run('losetup', '--detach', device))
      return device
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** A mounted XFS that is smaller than its device. */
async function mountedXfs(): Promise<{ readonly device: string; readonly point: string }> {
  const image = join(directory, 'disk.img')
  fs.writeFileSync(image, '')
  fs.truncateSync(image, 320 * 2 ** 20)
  run('mkfs.xfs', '-q', image)
  fs.truncateSync(image, 640 * 2 ** 20)
  const device = await attach(image)
  const point = join(directory, 'mounted')
  fs.mkdirSync(point)
  run('mount', device, point)
  cleanups.push(() => run('umount', point))
  return { device, point }
}

function sizeOf(point: string): number {
  const { blocks, bsize } = fs.statfsSync(point)
  return blocks * bsize
}

async function until(check: () => boolean): Promise<void> {
  await expect.poll(check, { timeout: 30_000 }).toBe(true)
}

// The emulated node has a PID namespace of its own, in which /proc/locks leaves out a lock whose taker has ended (locks_translate_pid in fs/locks.c of Linux), as flock(1)
// has once the tool runs. The case is held where commands stay in the initial one, as the processes of a node do.
const hiddenLocks = 'batch: a storage read shows an image, its bytes and who holds a lock on it'

describe('conformance', () => {
  test('leaves out a case that there is', () => {
    const setup = () => Promise.reject(new Error('it is not run'))
    expect(hostCases(setup).map(({ name }) => name)).toContain(hiddenLocks)
  })

  describe.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('over %s, through nsenter into process 1', (protocol) => {
    let host: Host
    let server: ApiServer
    beforeAll(async () => {
      server = await startApiServer({ inside: node.pod(), protocols: [protocol] })
      host = podHost(optionsOf(server, base))
    })
    afterAll(() => server?.close())
    const setup = async () => {
      const own = fs.mkdtempSync(join(base, 'conformance-'))
      return { host, directory: own, dispose: async () => fs.rmSync(own, { recursive: true, force: true }) }
    }
    for (const { name, run: body } of hostCases(setup)) if (name !== hiddenLocks) test(name, body)
  })

  describe('with a command of its own to enter the node', () => {
    let host: Host
    let server: ApiServer
    beforeAll(async () => {
      server = await startApiServer()
      host = podHost({ ...optionsOf(server, base), entry: ['env', '--'] })
    })
    afterAll(() => server?.close())
    const setup = async () => {
      const own = fs.mkdtempSync(join(base, 'conformance-'))
      return { host, directory: own, dispose: async () => fs.rmSync(own, { recursive: true, force: true }) }
    }
    for (const { name, run: body } of hostCases(setup)) test(name, body)
  })
})

describe('the node', () => {
  test("is where commands run, not the pod's namespaces", async () => {
    const server = await serve()
    const host = podHost(optionsOf(server, directory))
    const look = [
      'sh',
      '-c',
      'hostname; readlink /proc/self/ns/mnt /proc/self/ns/uts /proc/self/ns/net; stat -fc %T /mnt',
    ]
    const [name, ...rest] = (await host.exec(look)).stdout.trim().split('\n')
    expect(name).toBe(hostname())
    expect(rest.slice(0, 3)).toEqual([node.namespace('mnt'), node.namespace('uts'), node.namespace('net')])
    const inPod = podHost({ ...optionsOf(server, directory), entry: ['env', '--'] })
    const seen = (await inPod.exec(look)).stdout.trim().split('\n')
    expect(seen[0]).toBe('the-pod')
    expect(seen[4]).toBe('tmpfs')
    expect(rest[3]).not.toBe('tmpfs')
  })

  test('is entered with the nsenter of busybox, too', async () => {
    const server = await serve()
    const entry = ['busybox', 'nsenter', '-t', '1', '-m', '-u', '-i', '-n', '-p', '--']
    const host = podHost({ ...optionsOf(server, directory), entry })
    expect((await host.exec(['readlink', '/proc/self/ns/mnt'])).stdout.trim()).toBe(node.namespace('mnt'))
  })

  test('shows the same mounted disk as localHost() does', async () => {
    const server = await serve({})
    const host = podHost({ ...optionsOf(server, directory), entry: ['env', '--'] })
    const { point, device } = await mountedXfs()
    for (const at of [{ path: point }, { device }]) {
      const [own] = await localHost().batch([{ read: 'storage', at, locks: true }])
      const [other] = await host.batch([{ read: 'storage', at, locks: true }])
      expect(own.ok && own.value.found.length).toBe(1)
      if (!isDeepStrictEqual(other, own)) expect(other).toEqual(own)
    }
  })
})

describe('growth', () => {
  test('of an XFS while it is mounted takes two round trips', async () => {
    const server = await serve()
    const { point } = await mountedXfs()
    const host = podHost(optionsOf(server, directory))
    const before = sizeOf(point)
    const batches: (readonly BatchItem[])[] = []
    const seen: Host = {
      ...host,
      batch: (items, options) => {
        batches.push(items)
        return host.batch(items, options)
      },
    }
    const report = await expand({ host: seen, path: point, to: 'fill' })
    expect(sizeOf(point)).toBeGreaterThan(before * 1.8)
    // On a busy machine the growth takes long enough for a look at its progress.
    expect(batches.filter((items) => items.length > 1)).toHaveLength(2)
    expect(batches.length).toBeLessThanOrEqual(3)
    expect(server.streams.length).toBe(batches.length)
    const said = JSON.stringify([report, server.commands])
    expect(said).not.toContain(server.token)
  })

  test.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])(
    'over %s, cut off at any moment, is completed by the next run',
    async (protocol) => {
      const server = await serve({ inside: node.pod(), protocols: [protocol] })
      const { point } = await mountedXfs()
      const link = await startLink(server.port)
      cleanups.push(() => link.close())
      const host = podHost(optionsOf(server, directory, link.port))
      await host.exec(['true'])
      for (const delay of [0, 60, 150, 300, 500, 800]) {
        const attempt = expand({ host, path: point, to: 'fill' })
        const cut = new Promise((resolve) => setTimeout(resolve, delay)).then(() => link.cut())
        await attempt.catch((error: unknown) => expect(error).toMatchObject({ code: 'host-unreachable' }))
        await cut
      }
      await expand({ host, path: point, to: 'fill' })
      expect(sizeOf(point)).toBeGreaterThan(550 * 2 ** 20)
    },
  )
})

describe('the end of the pod', () => {
  const hierarchies = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup'].filter((root) =>
    fs.existsSync(`${root}/cgroup.procs`),
  )

  test.each(hierarchies)('ends all that is in its control group in %s, and no growth', async (root) => {
    const group = join(root, `volume-expander-pod-${process.pid}`)
    fs.mkdirSync(group)
    cleanups.push(async () => {
      await until(() => fs.readFileSync(`${group}/cgroup.procs`, 'utf8') === '')
      fs.rmdirSync(group)
    })
    const server = await serve({ inside: node.pod(group) })
    const { point, device } = await mountedXfs()
    const host = podHost(optionsOf(server, directory))
    // The growth itself is over in a moment: a tool of the same kind that takes its time.
    const [begun, done] = [join(directory, 'begun'), join(directory, 'done')]
    const script = 'echo > "$1"; sleep 3; xfs_growfs "$3"; echo > "$2"'
    const running = host.exec(['sh', '-c', script, 'sh', begun, done, point], { detached: true, lock: [device] })
    const refused = expect(running).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unknown' })
    await until(() => fs.existsSync(begun))
    for (const pid of fs.readFileSync(`${group}/cgroup.procs`, 'utf8').split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL')
    }
    await refused
    expect(fs.existsSync(done)).toBe(false)
    expect((await host.exec(['true'], { detached: true, lock: [device] })).ended).toBe('locked')
    await until(() => fs.existsSync(done))
    const report = await expand({ host, path: point, to: 'fill' })
    expect(report.changed).toBe(false)
    expect(sizeOf(point)).toBeGreaterThan(550 * 2 ** 20)
    expect(await host.exec(['true'], { detached: true })).toMatchObject({ ended: 'exited', ownControlGroup: true })
  })
})
