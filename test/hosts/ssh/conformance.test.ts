import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HostSetup, hostCases } from '../../../src/conformance/index.ts'
import { sshHost } from '../../../src/hosts/ssh/index.ts'
import { hostSetup } from '../../conformance/mutants/hosts.ts'
import { type OwnSshServer, startOwnSshServer } from './server.ts'

const account = { username: 'somebody', password: 'canary/of an+account' } as const
let server: OwnSshServer

beforeAll(async () => {
  server = await startOwnSshServer(account)
})

afterAll(() => server.close())

/** One of its own for each case: closing one must not end what another runs. */
async function setup(): Promise<HostSetup> {
  const host = sshHost({
    ...{ host: '127.0.0.1', port: server.port, username: account.username, agent: false },
    password: () => account.password,
    knownHosts: { files: [], accept: [server.fingerprint] },
  })
  const made = await hostSetup(host)
  const dispose = async (): Promise<void> => {
    await made.dispose()
    await host.close?.()
  }
  return { ...made, secrets: [account.password], dispose }
}

describe('sshHost, on a server that runs commands on this machine', () => {
  for (const { name, run } of hostCases(setup)) test.concurrent(name, { timeout: 60_000 }, run)
})

test('no command that was sent shows the password', () => {
  expect(server.commands.length).toBeGreaterThan(0)
  expect(server.commands.join('\n')).not.toContain(account.password)
})
