// What strerror(3) of glibc and of musl says in the C locale.
const names: readonly (readonly [RegExp, string])[] = [
  [/No such file or directory/, 'ENOENT'],
  [/Permission denied/, 'EACCES'],
  [/Operation not permitted/, 'EPERM'],
  [/Not a directory/, 'ENOTDIR'],
  [/Is a directory/, 'EISDIR'],
  [/No such device or address/, 'ENXIO'],
  [/No such device/, 'ENODEV'],
  [/Too many levels of symbolic links|Symbolic link loop/, 'ELOOP'],
  [/File ?name too long/, 'ENAMETOOLONG'],
  [/Invalid argument/, 'EINVAL'],
  [/Device or resource busy|Resource busy/, 'EBUSY'],
  [/No medium found/, 'ENOMEDIUM'],
  [/Stale (?:NFS )?file handle/, 'ESTALE'],
  [/Connection timed out|Operation timed out/, 'ETIMEDOUT'],
  [/Transport endpoint is not connected|Socket not connected/, 'ENOTCONN'],
]

/** The errno that a program's message names; `EIO` where it names none that is known, because unknown is a failure too. */
export function errnoOfMessage(message: string): string {
  // The message names the file first, which may be called like an error.
  const reasons = message.split('\n').map((line) => line.slice(line.lastIndexOf(': ') + 1))
  for (const [pattern, name] of names) if (reasons.some((reason) => pattern.test(reason))) return name
  return 'EIO'
}
