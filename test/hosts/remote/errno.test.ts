import { expect, test } from 'vitest'
import { errnoOfMessage } from '../../../src/hosts/remote/errno.ts'

test.each([
  ["head: cannot open '/x' for reading: No such file or directory", 'ENOENT'],
  ["head: error reading '/x': Is a directory", 'EISDIR'],
  ["dd: failed to open '/dev/sdz': No such device or address", 'ENXIO'],
  ["dd: error reading '/dev/sda': Input/output error\n0+0 records in\n0+0 records out", 'EIO'],
  ["stat: cannot statx '/root/x': Permission denied", 'EACCES'],
  ["dd: can't open '/x': Operation not permitted", 'EPERM'],
  ["stat: cannot stat '/l': Symbolic link loop", 'ELOOP'],
  ["stat: cannot stat '/No such file or directory: x': Permission denied", 'EACCES'],
  ['something that nobody has heard of', 'EIO'],
  ['', 'EIO'],
])('%j is %s', (message, errno) => {
  expect(errnoOfMessage(message)).toBe(errno)
})
