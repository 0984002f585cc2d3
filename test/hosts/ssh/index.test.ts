import { describe, expect, test } from 'vitest'
import { sshHost } from '../../../src/hosts/ssh/index.ts'

describe('sshHost', () => {
  test('is named after its user, host and port, and free of secrets', () => {
    const secret = 'hunter2'
    const host = sshHost({ host: 'db-1', username: 'admin', password: () => secret, sudo: { password: () => secret } })
    expect(host.id).toBe('ssh://admin@db-1:22')
    expect(JSON.stringify(host)).not.toContain(secret)
    expect(sshHost({ host: '::1', username: 'root', port: 2222 }).id).toBe('ssh://root@[::1]:2222')
  })

  test.each([
    { host: '' },
    { host: 'a b' },
    { host: '-oProxyCommand=x y' },
    { host: 'a', port: 0 },
    { host: 'a', port: 65_536 },
    { host: 'a', username: '' },
    { host: 'a', connectTimeout: 0 },
    { host: 'a', keepAlive: Number.NaN },
    { host: 'a', knownHosts: { files: ['relative'] } },
    { host: 'a', knownHosts: { accept: ['MD5:00'] } },
    { host: 'a', runtimeDirectory: 'relative' },
    { host: 'a', mode: 'commands', sudo: { password: () => 'x' } },
    { host: 'a', jump: { host: '' } },
  ] as const)('refuses %j', (options) => {
    expect(() => sshHost(options)).toThrow(TypeError)
  })

  test('a host that is not there is unreachable, and nothing happened', async () => {
    const host = sshHost({ host: '127.0.0.1', port: 9, username: 'root', agent: false, password: () => 'x' })
    await expect(host.exec(['true'])).rejects.toMatchObject({
      ...{ code: 'host-unreachable', layer: 'host', outcome: 'unchanged', retryable: true },
      remedy: expect.stringContaining('SSH server'),
    })
    const nowhere = sshHost({ host: 'no-such-host.invalid', username: 'root', password: () => 'x' })
    await expect(nowhere.exec(['true'])).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unchanged' })
  })
})
