import { checkPath } from '../command.ts'

// The last one is a tmpfs on machines whose others are not.
const usualDirectories: readonly string[] = ['/run', '/run/user/*', '/dev/shm', '/dev']

/** Where output may be kept, best first. @throws {TypeError} when what is given is no absolute path, or one that the script cannot take */
export function runtimeDirectoriesOf(given: string | undefined): readonly string[] {
  if (given === undefined) return usualDirectories
  checkPath(given, 'runtimeDirectory')
  if (/\s/.test(given)) throw new TypeError('runtimeDirectory cannot hold white space.')
  return [given]
}

/** @throws {TypeError} when what is given is no number of milliseconds that a timer can take */
export function duration(name: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  if (typeof given === 'number' && given > 0 && given < 2 ** 31) return given
  throw new TypeError(`${name} is a positive number of milliseconds.`)
}
