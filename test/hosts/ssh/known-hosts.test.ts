import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  fingerprintOf,
  isAbout,
  judgeKey,
  knownName,
  parseKnownHosts,
  preferredAlgorithms,
  typeOfKey,
} from '../../../src/hosts/ssh/known-hosts.ts'

function blob(type: string, content: string): Buffer {
  const field = (text: string): Buffer => {
    const bytes = Buffer.from(text, 'latin1')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  return Buffer.concat([field(type), field(content)])
}

const ed25519 = blob('ssh-ed25519', 'a'.repeat(32))
const other = blob('ssh-ed25519', 'b'.repeat(32))
const rsa = blob('ssh-rsa', 'c'.repeat(64))

function line(patterns: string, key: Buffer, marker = ''): string {
  return `${marker}${patterns} ${typeOfKey(key)} ${key.toString('base64')} a comment\n`
}

function hashed(name: string): string {
  const salt = Buffer.alloc(20, 7)
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

describe('a file of known hosts', () => {
  test('has keys, comments and lines that say nothing', () => {
    const text = `# a comment\n\n${line('db-1', ed25519)}garbage\ndb-2 ssh-ed25519\ndb-3 ssh-rsa ${ed25519.toString('base64')}\n`
    expect(parseKnownHosts(text).map(({ patterns, type }) => [patterns, type])).toEqual([[['db-1'], 'ssh-ed25519']])
    expect(parseKnownHosts(line('x', ed25519).replace('\n', '\r\n'))).toHaveLength(1)
  })

  test('may mark keys as revoked; authorities vouch for certificates, which are not asked for', () => {
    const keys = parseKnownHosts(line('*', ed25519, '@revoked ') + line('*', other, '@cert-authority '))
    expect(keys.map(({ marker }) => marker)).toEqual(['revoked'])
  })
})

describe('a name', () => {
  test.each([
    ['db-1', 'db-1', true],
    ['DB-1', 'db-1', true],
    ['db-1,10.0.0.1', '10.0.0.1', true],
    ['db-1', 'db-10', false],
    ['db-?', 'db-1', true],
    ['*.example.org', 'db.example.org', true],
    ['*.example.org', 'example.org', false],
    ['*.example.org,!bad.example.org', 'bad.example.org', false],
    ['!bad.example.org', 'good.example.org', false],
    ['[db-1]:2222', '[db-1]:2222', true],
    ['db-1', '[db-1]:2222', false],
    ['d*b*-*1', 'db-1', true],
    [hashed('db-1'), 'db-1', true],
    [hashed('db-1'), 'db-2', false],
    [hashed('[db-1]:2222'), '[db-1]:2222', true],
  ] as const)('%s is about %s: %s', (patterns, name, about) => {
    const [key] = parseKnownHosts(line(patterns, ed25519))
    expect(key !== undefined && isAbout(key, name)).toBe(about)
  })

  test('has its port, but for 22', () => {
    expect([knownName('Db-1', 22), knownName('db-1', 2222)]).toEqual(['db-1', '[db-1]:2222'])
  })

  test('with many stars costs no exponential time', () => {
    const [key] = parseKnownHosts(line(`${'*a'.repeat(40)}b`, ed25519))
    expect(key !== undefined && isAbout(key, 'a'.repeat(200))).toBe(false)
  })
})

describe('a key', () => {
  const keys = parseKnownHosts(line('db-1', ed25519) + line('db-1', rsa) + line('db-2', rsa))

  test('is known, changed or unknown', () => {
    expect(judgeKey(keys, 'db-1', ed25519)).toBe('known')
    expect(judgeKey(keys, 'db-1', rsa)).toBe('known')
    expect(judgeKey(keys, 'db-1', other)).toBe('changed')
    expect(judgeKey(keys, 'db-3', ed25519)).toBe('unknown')
  })

  test('of another type than the known ones counts as changed', () => {
    expect(judgeKey(keys, 'db-2', ed25519)).toBe('changed')
  })

  test('that is revoked is never known', () => {
    const revoked = parseKnownHosts(line('db-1', ed25519) + line('*', ed25519, '@revoked '))
    expect(judgeKey(revoked, 'db-1', ed25519)).toBe('revoked')
    expect(judgeKey(revoked, 'db-3', ed25519)).toBe('revoked')
    expect(judgeKey(revoked, 'db-3', other)).toBe('unknown')
  })

  test('of a known type is asked for first, and SHA-1 never', () => {
    expect(preferredAlgorithms(keys, 'db-2').slice(0, 2)).toEqual(['rsa-sha2-512', 'rsa-sha2-256'])
    expect(preferredAlgorithms(keys, 'db-3')[0]).toBe('ssh-ed25519')
    expect(preferredAlgorithms(keys, 'db-2')).not.toContain('ssh-rsa')
  })

  test('has the fingerprint that ssh-keygen shows', () => {
    const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl'
    expect(fingerprintOf(Buffer.from(key, 'base64'))).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU')
  })
})
