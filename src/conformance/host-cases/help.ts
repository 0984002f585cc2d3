import { isDeepStrictEqual } from 'node:util'
import { VolumeExpansionError } from '../../errors.ts'
import type { ExecResult, Host } from '../../hosts/host.ts'
import { jsonSafe } from '../../json.ts'
import { holds, rejection } from '../suite.ts'

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Makes a file on the host, and returns its path. */
export async function touch(host: Host, path: string, text = ''): Promise<string> {
  const result: ExecResult = await host.exec(['tee', path], { stdin: bytesOf(text) })
  holds(result.ok, `the file ${JSON.stringify(path)} can be written: ${result.stderr}`)
  return path
}

export async function contents(host: Host, path: string): Promise<string | undefined> {
  const [result] = await host.batch([{ read: 'file', path }])
  return result.ok ? result.value : undefined
}

/** Part of a script: waits until the file that its first argument names is there, for a minute at the most. However slow the machine is, it ends when it is told to. */
export const untilThere = 'n=0; while [ ! -e "$1" ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done'

export async function eventually(check: () => Promise<boolean>, message: string): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await check())) {
    holds(performance.now() < end, message)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export function aborted(promise: Promise<unknown>, outcome: 'unchanged' | 'unknown'): Promise<void> {
  const judged = rejectsAsAborted(promise, outcome)
  // The case may fail before it comes to wait for this one.
  judged.catch(() => undefined)
  return judged
}

async function rejectsAsAborted(promise: Promise<unknown>, outcome: 'unchanged' | 'unknown'): Promise<void> {
  const error = await rejection(promise, 'an aborted call has to reject')
  holds(error instanceof VolumeExpansionError && error.code === 'aborted', 'an aborted call rejects with `aborted`')
  holds(error.cause instanceof Error && error.cause.message === 'stop', "the cause is the signal's reason")
  same(error.outcome, outcome, 'the outcome of an aborted call')
}

export function same(found: unknown, expected: unknown, what: string): void {
  const show = (value: unknown): string => JSON.stringify(jsonSafe(value))
  holds(isDeepStrictEqual(found, expected), `${what}: expected ${show(expected)}, found ${show(found)}`)
}
