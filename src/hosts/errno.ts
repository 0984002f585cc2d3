import type { ReadFailure } from './host.ts'

/** The name of a failed system call's errno; `EIO` for a failure that has none, because unknown is a failure too. */
export function errnoOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : 'EIO'
}

export function readFailure(thrown: unknown): ReadFailure {
  return { ok: false, errno: errnoOf(thrown), message: thrown instanceof Error ? thrown.message : String(thrown) }
}

/** A failure of our own making, in the words of an errno. */
export function failure(errno: string, message: string): ReadFailure {
  return { ok: false, errno, message }
}
