import { describe, expect, test } from 'vitest'
import {
  parseCapabilities,
  parseControlGroups,
  parseDescriptor,
  parseLocks,
  parseMaps,
  parsePageSize,
  parseSwaps,
} from '../../src/hosts/proc.ts'

test('parseLocks gives the flocks that are held, with decimal device numbers', () => {
  const text = `1: FLOCK  ADVISORY  WRITE 8395 fe:00:2163311 0 EOF
2: POSIX  ADVISORY  WRITE 200 fe:00:2163311 0 EOF
1: -> FLOCK  ADVISORY  WRITE 8396 fe:00:2163311 0 EOF
3: FLOCK  ADVISORY  READ  77 103:10:18446744073709551615 0 EOF
4: OFDLCK ADVISORY  WRITE -1 00:06:5 0 EOF
5: LEASE  ACTIVE    WRITE 12 fe:00:9 0 EOF
`
  expect(parseLocks(text)).toEqual([
    { pid: 8395, dev: '254:0', ino: 2163311n },
    { pid: 77, dev: '259:16', ino: 18446744073709551615n },
  ])
  expect(parseLocks('')).toEqual([])
})

test('parseMaps gives the mapped files, and which of them are written through', () => {
  const text = `559e1000-559e2000 r-xp 00000000 fe:00 131 /usr/bin/cat
7f00-7f01 rw-p 00000000 00:00 0
7f02-7f03 rw-s 00000000 07:10 42                         /tmp/with space
7f04-7f05 rw-p 00000000 103:00 43 /x (deleted)
ffff-ffff --xp 00000000 00:00 0                  [vsyscall]
`
  expect(parseMaps(text)).toEqual([
    { dev: '254:0', ino: 131n, writable: false },
    { dev: '7:16', ino: 42n, writable: true },
    { dev: '259:0', ino: 43n, writable: false },
  ])
})

describe('parseDescriptor', () => {
  test.each([
    ['0100000', false, false],
    ['0100001', true, false],
    ['02100002', true, false],
    ['012000000', false, true],
  ])('flags %s', (flags, writable, pathOnly) => {
    expect(parseDescriptor(`pos:\t0\nflags:\t${flags}\nmnt_id:\t27\nino:\t5\n`)).toEqual({
      writable,
      pathOnly,
      mount: 27,
    })
  })
})

test('parseCapabilities reads the effective set', () => {
  expect(parseCapabilities('CapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n')).toBe(0x1fffeffffffn)
  expect(parseCapabilities('Name:\tx\n')).toBe(0n)
})

test('parseSwaps gives the decoded paths', () => {
  const text = 'Filename\t\t\tType\t\tSize\n/dev/sda2                 partition\t1\n/swap\\040file\tfile\t2\n'
  expect(parseSwaps(text)).toEqual(['/dev/sda2', '/swap file'])
  expect(parseSwaps('Filename\t\t\tType\n')).toEqual([])
})

test('parseControlGroups tells the unified hierarchy from the others', () => {
  expect(parseControlGroups('9:name=systemd:/system.slice/a:b.service\n1:cpu,cpuacct:/\n0::/x\n')).toEqual([
    { hierarchy: 'name=systemd', path: '/system.slice/a:b.service' },
    { hierarchy: 'cpu,cpuacct', path: '/' },
    { hierarchy: 'unified', path: '/x' },
  ])
})

describe('parsePageSize', () => {
  const auxv = (wordBytes: 4 | 8, littleEndian: boolean, pairs: readonly (readonly [number, number])[]): Uint8Array => {
    const view = new DataView(new ArrayBuffer(pairs.length * 2 * wordBytes))
    pairs.flat().forEach((word, index) => {
      if (wordBytes === 8) view.setBigUint64(index * 8, BigInt(word), littleEndian)
      else view.setUint32(index * 4, word, littleEndian)
    })
    return new Uint8Array(view.buffer)
  }

  test('finds the entry in either word size and byte order', () => {
    const pairs = [
      [16, 6],
      [6, 65536],
      [0, 0],
    ] as const
    expect(parsePageSize(auxv(8, true, pairs), 8, true)).toBe(65536)
    expect(parsePageSize(auxv(4, false, pairs), 4, false)).toBe(65536)
  })

  test('is undefined without one', () => {
    expect(parsePageSize(auxv(8, true, [[16, 6]]), 8, true)).toBeUndefined()
    expect(parsePageSize(new Uint8Array(3), 8, true)).toBeUndefined()
  })
})
