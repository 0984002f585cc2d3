import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Cleanup } from './cleanup.ts'

/** What the writer's process says: that it writes, that it cannot, or, asked to end, when each record began and how long it took (milliseconds). */
export type FromWriter =
  | { readonly begun: true }
  | { readonly failure: string }
  | { readonly timings: readonly (readonly [begun: number, took: number])[] }

export interface Writer {
  readonly pid: number
  /** Ends it after the record that it writes, and tells what it has written. */
  stop(): Promise<Written>
}

export interface Written {
  /** Records that fsync has confirmed. */
  readonly records: number
  /** The median time that a record took, in milliseconds. */
  readonly typical: number
  /** The longest time that a record took, of those that were written between two moments; undefined when there was none. */
  worst(from: number, to: number): number | undefined
}

/** Milliseconds of the clock that the writer's timings are in. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Starts a process that appends records to a new file, each with fsync, until it is stopped. Resolves once the first one is safe. */
export async function startWriter(path: string, cleanup: Cleanup): Promise<Writer> {
  const child = fork(fileURLToPath(new URL('./writer-process.ts', import.meta.url)), [path], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  exited.catch(() => {})
  const undo = cleanup.add(`the writer, pid ${child.pid}`, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await exited
  })
  let failure: string | undefined
  child.on('message', (message: FromWriter) => {
    if ('failure' in message) failure = message.failure
  })
  await answer(child, exited)
  return {
    pid: child.pid ?? 0,
    async stop() {
      const ending = failure === undefined ? answer(child, exited) : undefined
      if (child.connected) child.send('stop')
      const said = await ending
      if (child.connected) child.disconnect()
      await exited
      await undo()
      if (failure !== undefined) throw new Error(`The writer failed: ${failure}`)
      if (said === undefined || !('timings' in said)) throw new Error('The writer did not tell what it wrote.')
      return written(said.timings)
    },
  }
}

async function answer(child: ChildProcess, exited: Promise<unknown>): Promise<FromWriter> {
  const message = once(child, 'message') as Promise<[FromWriter]>
  const ended = exited.then(() => {
    throw new Error('The writer ended by itself.')
  })
  ended.catch(() => {})
  const [said] = await Promise.race([message, ended])
  if ('failure' in said) throw new Error(`The writer failed: ${said.failure}`)
  return said
}

function written(timings: readonly (readonly [number, number])[]): Written {
  const sorted = timings.map(([, took]) => took).sort((one, other) => one - other)
  return {
    records: timings.length,
    typical: sorted[Math.floor(sorted.length / 2)] ?? 0,
    worst(from, to) {
      const during = timings.filter(([begun, took]) => begun <= to && begun + took >= from).map(([, took]) => took)
      return during.length === 0 ? undefined : Math.max(...during)
    },
  }
}
