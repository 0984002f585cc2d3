import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** One key of a file of known hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownKey {
  readonly marker: 'revoked' | undefined
  /** Patterns with `*`, `?` and a leading `!`, or one hashed name. */
  readonly patterns: readonly string[]
  readonly type: string
  readonly blob: Uint8Array
}

/** The keys in a file; lines that are not understood are left out, and so are certificate authorities, whose certificates are not asked for. */
export function parseKnownHosts(text: string): readonly KnownKey[] {
  return text.split('\n').flatMap(parseLine)
}

function parseLine(line: string): readonly KnownKey[] {
  const words = line.trim().split(/[\t ]+/)
  if (words[0] === undefined || words[0] === '' || words[0].startsWith('#')) return []
  const marker = words[0].startsWith('@') ? words.shift() : undefined
  if (marker !== undefined && marker !== '@revoked') return []
  const [patterns = '', type = '', key = ''] = words
  if (!/^[\w@.-]+$/.test(type) || !/^[A-Za-z0-9+/]+={0,2}$/.test(key)) return []
  const blob = Buffer.from(key, 'base64')
  // The blob repeats its type; a line in which they differ, such as one of the old version 1 of the protocol, is none.
  if (typeOfKey(blob) !== type) return []
  return [{ marker: marker === undefined ? undefined : 'revoked', patterns: patterns.split(','), type, blob }]
}

/** The type at the beginning of a public key: a length of 4 bytes, and a name (RFC 4253, 6.6). */
export function typeOfKey(blob: Uint8Array): string | undefined {
  if (blob.length < 4) return undefined
  const length = new DataView(blob.buffer, blob.byteOffset, 4).getUint32(0)
  return length > blob.length - 4 ? undefined : Buffer.from(blob.subarray(4, 4 + length)).toString('latin1')
}

/** As `ssh-keygen -lf` prints it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** The name by which a server is found: its host, and its port where that is another one than 22. */
export function knownName(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === 22 ? name : `[${name}]:${port}`
}

/** Whether an entry is about a server. Any pattern may name it, and none with an exclamation mark. */
export function isAbout({ patterns }: KnownKey, name: string): boolean {
  let named = false
  for (const pattern of patterns) {
    const negated = pattern.startsWith('!')
    if (!matches(negated ? pattern.slice(1) : pattern, name)) continue
    if (negated) return false
    named = true
  }
  return named
}

function matches(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(pattern)
  if (hashed !== null) {
    const expected = Buffer.from(hashed[2] ?? '', 'base64')
    const found = createHmac('sha1', Buffer.from(hashed[1] ?? '', 'base64'))
      .update(name)
      .digest()
    return expected.length === found.length && timingSafeEqual(expected, found)
  }
  return wildcards(pattern.toLowerCase(), name)
}

// Without a regular expression: brackets and dots of a pattern mean themselves, and many stars must not cost exponential time.
function wildcards(pattern: string, name: string): boolean {
  let [at, star, mark] = [0, -1, 0]
  for (let index = 0; index < name.length; ) {
    if (pattern[at] === '*') {
      star = at
      mark = index
      at += 1
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[index])) {
      at += 1
      index += 1
    } else if (star >= 0) {
      at = star + 1
      mark += 1
      index = mark
    } else {
      return false
    }
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}

/** What is to be thought of the key that a server shows. */
export type KeyJudgement = 'known' | 'revoked' | 'changed' | 'unknown'

/**
 * `changed` is also a server of which only keys of other types are known: those are asked for first, so that it shows another one only when it has lost them, or
 * when it is another server.
 */
export function judgeKey(keys: readonly KnownKey[], name: string, blob: Uint8Array): KeyJudgement {
  const about = keys.filter((key) => isAbout(key, name))
  const same = about.filter((key) => Buffer.compare(key.blob, blob) === 0)
  if (same.some(({ marker }) => marker === 'revoked')) return 'revoked'
  if (same.length > 0) return 'known'
  return about.some(({ marker }) => marker === undefined) ? 'changed' : 'unknown'
}

// ssh-rsa with SHA-1 is not among them.
const algorithms: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
}

/** The algorithms of host keys, those of known keys first: a server shows only one of its keys, which should be the one that is known. */
export function preferredAlgorithms(keys: readonly KnownKey[], name: string): readonly string[] {
  const known = keys.filter((key) => key.marker === undefined && isAbout(key, name)).map(({ type }) => type)
  return [...new Set([...known, ...Object.keys(algorithms)])].flatMap((type) => algorithms[type] ?? [])
}
