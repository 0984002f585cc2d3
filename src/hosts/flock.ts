import type { ExecResult } from './host.ts'

/** What flock exits with when somebody else has the lock; EX_TEMPFAIL of sysexits.h. */
const conflictCode = 75
// sysexits.h: EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_OSERR, EX_CANTCREAT; flock uses them for its own failures.
const ownFailures: ReadonlySet<number> = new Set([64, 65, 66, 69, 71, 73])
const conflictMessage = 'flock: failed to get lock'

/**
 * The command that takes an exclusive flock on every path and then **becomes** the tool: util-linux's flock with `--no-fork` executes in place, so that there is
 * one process, and the lock lives and dies with it. `--verbose` makes a conflict say so, which tells it apart from a tool that exits with the same code.
 */
export function flockArgv(flock: string, paths: readonly string[], argv: readonly string[]): readonly string[] {
  const options = ['--verbose', '--exclusive', '--nonblock', '--no-fork', '--conflict-exit-code', `${conflictCode}`]
  return [...paths.flatMap((path) => [flock, ...options, path]), ...argv]
}

/**
 * How a command under flock ended when it was flock that ended, and the tool never began; undefined when the tool did begin. `failed to execute` comes with the
 * errno's text in the C locale. `stderr` is what {@link withoutFlockLines} left.
 */
export function judgeFlock(exitCode: number | undefined, stderr: string): ExecResult['ended'] | undefined {
  if (exitCode === conflictCode && stderr.trim() === conflictMessage) return 'locked'
  if (exitCode === undefined || !ownFailures.has(exitCode) || !stderr.startsWith('flock: ')) return undefined
  return /^flock: failed to execute .*: No such file or directory\s*$/s.test(stderr) ? 'missing' : 'refused'
}

/** What was written, without the lines that `--verbose` adds before the tool begins; they are on either stream, by the version of util-linux. */
export function withoutFlockLines(text: string): string {
  return text.replace(/^(?:flock: (?:getting lock took [^\n]*|executing [^\n]*)\n)+/, '')
}
