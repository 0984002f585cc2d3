import { describe, expect, test } from 'vitest'
import { fileError, invalidReference, shown } from '../../../providers/file/errors.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'

function native(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code })
}

describe('fileError', () => {
  test.each([
    ['ENOENT', 'not-found'],
    ['ENOTDIR', 'not-found'],
    ['EACCES', 'permission-denied'],
    ['EPERM', 'permission-denied'],
    ['EROFS', 'read-only'],
    ['EFBIG', 'limit-exceeded'],
    ['EDQUOT', 'quota-exceeded'],
    ['ENOSPC', 'pool-full'],
    ['ETXTBSY', 'wrong-state'],
    ['EISDIR', 'invalid-reference'],
    ['ELOOP', 'invalid-reference'],
    ['ENAMETOOLONG', 'invalid-reference'],
    ['EMFILE', 'backend-unreachable'],
    ['EIO', 'backend-unreachable'],
    ['ESTALE', 'backend-unreachable'],
  ])('%s is %s', (errno, code) => {
    const cause = native(errno)
    const error = fileError(cause, '/srv/disk.img', 'unchanged')
    expect(error).toMatchObject({ code, layer: 'volume', provider: 'file', outcome: 'unchanged', cause })
    expect(error.message).toContain('/srv/disk.img')
    expect(error.message).toContain(errno)
    expect(error.remedy).toBeTruthy()
  })

  test('only what passes by itself is worth another try', () => {
    expect(fileError(native('EMFILE'), '/srv/disk.img', 'unchanged').retryable).toBe(true)
    expect(fileError(native('ENOSPC'), '/srv/disk.img', 'unchanged').retryable).toBe(false)
  })

  test('keeps what is the error of the library already', () => {
    const error = invalidReference('', 'the path is empty')
    expect(fileError(error, '/srv/disk.img', 'unknown')).toBe(error)
  })

  test('takes anything that is thrown', () => {
    for (const thrown of [undefined, 'text', new Error('no errno'), { code: 'ENOENT' }]) {
      const error = fileError(thrown, '/srv/disk.img', 'unknown')
      expect(error).toBeInstanceOf(VolumeExpansionError)
      expect(error).toMatchObject({ code: 'backend-unreachable', outcome: 'unknown' })
    }
  })
})

test('a path that would break a line is quoted', () => {
  expect(shown('/srv/my disk.img')).toBe('/srv/my disk.img')
  expect(shown('/srv/one\ntwo.img')).toBe('"/srv/one\\ntwo.img"')
  expect(shown('/srv/disk.img ')).toBe('"/srv/disk.img "')
})

test('a long ref does not fill the screen', () => {
  expect(invalidReference('x'.repeat(5000), 'it is too long').message.length).toBeLessThan(400)
})
