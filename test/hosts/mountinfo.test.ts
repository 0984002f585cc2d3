import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isWithin, mountOf, parseMountinfo, unescapeOctal } from '../../src/hosts/mountinfo.ts'

const text = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 7:0 / /data\\040one rw,noatime shared:5 master:2 - xfs /dev/loop0 rw,inode64
31 30 7:1 / /data\\040one/inner ro - ext4 /dev/loop1 ro
32 22 0:40 /sub /btr rw - btrfs /dev/sdb rw,subvol=/sub
33 22 8:1 /var/lib /bind rw - ext4 /dev/sda1 rw
34 22 7:2 / /stacked rw - xfs /dev/loop2 rw
35 34 7:3 / /stacked rw - xfs /dev/loop3 rw
36 22 7:4 / /stacked/below rw - xfs /dev/loop4 rw
`

describe('parseMountinfo', () => {
  const mounts = parseMountinfo(text)

  test('reads all of the fields, whatever the number of the optional ones', () => {
    expect(mounts).toHaveLength(9)
    expect(mounts[2]).toEqual({
      ...{ id: 30, parent: 22, dev: '7:0', root: '/', mountPoint: '/data one', options: ['rw', 'noatime'] },
      ...{ type: 'xfs', source: '/dev/loop0', superOptions: ['rw', 'inode64'] },
    })
    expect(mounts[4]).toMatchObject({ root: '/sub', type: 'btrfs', source: '/dev/sdb' })
  })

  test('leaves out lines that it does not understand', () => {
    expect(parseMountinfo('nonsense\n\n1 2 3:4 / \n')).toEqual([])
  })

  test.each([
    ['\\040', ' '],
    ['a\\011b\\012c', 'a\tb\nc'],
    ['back\\134slash', 'back\\slash'],
    ['\\134040', '\\040'],
    ['plain', 'plain'],
  ])('decodes %j', (escaped, plain) => {
    expect(unescapeOctal(escaped)).toBe(plain)
  })

  test('undoes what the kernel does to any path', () => {
    const escaped = (path: string): string =>
      path.replace(/[ \t\n\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
    fc.assert(fc.property(fc.string(), (path) => unescapeOctal(escaped(path)) === path))
  })
})

test('a line in ruins is left out, whatever is left of it', () => {
  const ruins = ['    - ', 'x 1 8:1 / / rw - ext4 a rw', '1 1 8: / / rw - ext4 a rw', '1 1 8:1 / data rw - ext4 a rw']
  expect(parseMountinfo(ruins.join('\n'))).toEqual([])
})

describe('mountOf', () => {
  const mounts = parseMountinfo(text)
  const at = (path: string): string | undefined => mountOf(mounts, path)?.dev

  test('is the nearest mount on the way', () => {
    expect(at('/')).toBe('8:1')
    expect(at('/data one')).toBe('7:0')
    expect(at('/data one/x/y')).toBe('7:0')
    expect(at('/data one/inner/x')).toBe('7:1')
    expect(at('/data one/innermost')).toBe('7:0')
    expect(at('/data')).toBe('8:1')
    expect(mountOf(mounts, '/bind/x')?.root).toBe('/var/lib')
  })

  test('is never a mount that another one covers', () => {
    expect(at('/stacked')).toBe('7:3')
    // Mounted below the mount point before that was covered, and so no longer reachable.
    expect(at('/stacked/below/x')).toBe('7:3')
  })

  test('is undefined where the root is not among the mounts', () => {
    expect(mountOf(parseMountinfo('30 22 7:0 / /data rw - xfs /dev/loop0 rw'), '/data')).toBeUndefined()
  })

  test('ends, whatever the parents are', () => {
    expect(
      mountOf(parseMountinfo('1 1 7:0 / / rw - xfs a rw\n2 3 7:1 / / rw - xfs b rw\n3 2 7:2 / / rw - xfs c rw'), '/'),
    ).toBeDefined()
  })
})

test('isWithin knows where a name ends', () => {
  expect(isWithin('/data/x', '/data')).toBe(true)
  expect(isWithin('/data', '/data')).toBe(true)
  expect(isWithin('/database', '/data')).toBe(false)
  expect(isWithin('/anything', '/')).toBe(true)
})
