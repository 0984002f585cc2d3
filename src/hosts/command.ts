import type { ExecOptions } from './host.ts'

/** Where programs are looked for, on every host. */
export const searchPath: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]

/** All that a command finds in its environment: messages in the language that the diagnosis reads, and nothing of the caller's. */
export const commandEnvironment: Readonly<Record<string, string>> = { LC_ALL: 'C', PATH: searchPath.join(':') }

/** Bytes of each output stream that are kept. */
export const outputLimit: number = 64 * 1024

/** @throws {TypeError} when it is not a non-empty list of strings without NUL, or names no program */
export function checkArgv(argv: readonly string[]): void {
  if (!Array.isArray(argv) || argv.length === 0) throw new TypeError('A command is a non-empty list of arguments.')
  for (const argument of argv as readonly unknown[]) {
    if (typeof argument !== 'string') throw new TypeError('The arguments of a command are strings.')
    if (argument.includes('\0')) throw new TypeError('An argument of a command cannot hold a NUL character.')
  }
  if (argv[0] === '') throw new TypeError('A command begins with the name or the absolute path of a program.')
}

/** @throws {TypeError} when a deadline, a lock, an accepted code or the standard input is not what the contract asks for */
export function checkExecOptions(options: ExecOptions): void {
  const { deadline, lock, accept, stdin } = options
  if (deadline !== undefined && !(typeof deadline === 'number' && deadline > 0)) {
    throw new TypeError('A deadline is a positive number of milliseconds.')
  }
  for (const path of lock ?? []) checkPath(path, 'A lock')
  if (accept?.some((code) => !Number.isInteger(code) || code < 0 || code > 255) === true) {
    throw new TypeError('Accepted exit codes are integers from 0 to 255.')
  }
  if (stdin !== undefined && !(stdin instanceof Uint8Array)) throw new TypeError('Standard input is given as bytes.')
}

/** @throws {TypeError} when it is not an absolute path without NUL */
export function checkPath(path: unknown, what: string): asserts path is string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) {
    throw new TypeError(`${what} needs an absolute path.`)
  }
}
