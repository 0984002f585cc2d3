import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { secretIn } from '../../src/conformance/secrets.ts'
import type { Host } from '../../src/hosts/host.ts'
import { podHost } from '../../src/hosts/kubernetes/index.ts'
import { localHost } from '../../src/hosts/local/index.ts'
import { sshHost } from '../../src/hosts/ssh/index.ts'
import { claim } from '../../src/kubernetes/index.ts'
import { startOwnSshServer } from '../hosts/ssh/server.ts'
import { startApiServer } from '../lab/kubernetes/api-server.ts'
import { Watch } from './watch.ts'

/** What was given to every process that this one has started. */
const spawned = vi.hoisted((): string[] => [])
vi.mock('node:child_process', async (original) => {
  const real = await original<typeof import('node:child_process')>()
  const spawn = (program: string, args: readonly string[] = [], options: object = {}) => {
    spawned.push(JSON.stringify([program, args, (options as { readonly env?: object }).env]))
    return real.spawn(program, args, options)
  }
  return { ...real, spawn }
})
afterEach(() => void spawned.splice(0))

const luksKey = 'canary/of a+LUKS key'

function directoryOf(): string {
  const directory = mkdtempSync(join(tmpdir(), 'secrets-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Uses the host in every way: a key on standard input, a growth of what is not there, an abort; says how the first ended. */
async function use(host: Host, watch: Watch): Promise<string> {
  watch.show('the host', host)
  const stdin = new TextEncoder().encode(luksKey)
  let ended = ''
  for (const detached of [false, true]) {
    await host.exec(['sh', '-c', 'cat > /dev/null; echo no >&2; exit 2'], { stdin, detached }).then(
      (result) => {
        ended = result.ended
        watch.show('a result', result)
      },
      (error: unknown) => {
        ended = (error as { readonly code: string }).code
        watch.show('an error', error)
      },
    )
  }
  const signal = AbortSignal.abort(new Error('stop'))
  await host.batch([{ exec: ['cat'], stdin }], { signal }).catch((error: unknown) => watch.show('an error', error))
  await watch.run({ host, path: '/no/such/directory', to: 'fill', luksKey: async () => luksKey })
  await host.close?.()
  return ended
}

function expectNoneSpawned(secrets: readonly string[]): void {
  expect(spawned.filter((each) => secretIn(each, secrets) !== undefined)).toEqual([])
}

test('localHost()', async () => {
  const watch = new Watch()
  const ended = await use(localHost(), watch)
  watch.expectNone([luksKey])
  expect(ended).toBe('exited')
  expect(spawned.length).toBeGreaterThan(1)
  expectNoneSpawned([luksKey])
})

const account = { username: 'somebody', password: 'canary/of an+account' } as const

test.each([
  ['that are right', account.password, 'exited'],
  ['that are wrong', 'canary/of another+account', 'authentication-failed'],
])('sshHost() with passwords %s', async (_, password, expected) => {
  const [sudo, passphrase] = ['canary/of+sudo', 'canary/of+a passphrase']
  const server = await startOwnSshServer(account)
  onTestFinished(() => server.close())
  const watch = new Watch()
  const options = {
    ...{ host: '127.0.0.1', port: server.port, username: account.username, agent: false as const },
    password: () => password,
    passphrase: () => passphrase,
    knownHosts: { files: [], accept: [server.fingerprint] },
  }
  const ended = await use(sshHost(options), watch)
  // There may be no sudo here, and its password is not one: how it ends is not asked, only what it shows.
  await use(sshHost({ ...options, sudo: { password: () => sudo } }), watch)
  const secrets = [luksKey, password, account.password, sudo, passphrase]
  watch.expectNone(secrets)
  expect(ended).toBe(expected)
  expect(server.commands.filter((each) => secretIn(each, secrets) !== undefined)).toEqual([])
  expectNoneSpawned(secrets)
})

test('sshHost() with a private key that cannot be read', async () => {
  const server = await startOwnSshServer(account)
  onTestFinished(() => server.close())
  const secret = 'b3BlbnNzaCcanaryOfAPrivateKeyAAAA'
  const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}\n-----END OPENSSH PRIVATE KEY-----\n`
  const watch = new Watch()
  const knownHosts = { files: [], accept: [server.fingerprint] }
  await use(
    sshHost({ host: '127.0.0.1', port: server.port, username: 'x', agent: false, privateKey, knownHosts }),
    watch,
  )
  watch.expectNone([secret, luksKey])
})

test.each([
  ['that is right', false, 'exited'],
  ['that is not accepted', true, 'authentication-failed'],
])('podHost() and claim() with a token %s', async (_, refused, expected) => {
  const server = await startApiServer()
  onTestFinished(() => server.close())
  if (refused)
    server.options = { refuse: () => ({ status: 401, body: '{"kind":"Status","code":401,"message":"Unauthorized"}' }) }
  const file = join(directoryOf(), 'config')
  writeFileSync(file, server.kubeconfig())
  const watch = new Watch()
  const ended = await use(
    podHost({ namespace: 'storage', node: 'worker-1', selector: 'app=csi-node', config: { file }, entry: [] }),
    watch,
  )
  const target = claim({ namespace: 'shop', name: 'data', kubeconfig: file })
  watch.show('the claim', target)
  const claimed = await watch.run({ claim: target, to: '2Gi' })
  const secrets = [server.token, luksKey]
  watch.expectNone(secrets)
  expect(ended).toBe(expected)
  expect(claimed).not.toBe('done')
  expect(server.commands.filter((each) => secretIn(each.join('\n'), secrets) !== undefined)).toEqual([])
  expectNoneSpawned(secrets)
})
