import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

type Interval = readonly [from: number, to: number]

/** A process that writes and syncs all the time. */
export interface Writer {
  /** Ends it. @returns how long each of its rounds took, on the shared clock */
  stop(): Promise<readonly Interval[]>
}

/** Starts a writer on a mounted filesystem, and returns when it is in its stride. */
export async function startWriter(mountPoint: string): Promise<Writer> {
  const program = fileURLToPath(new URL('workload.js', import.meta.url))
  const child = spawn(process.execPath, [program, join(mountPoint, 'written')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('The writer died.')
    return value
  }
  await line()
  return {
    async stop() {
      child.stdin.end()
      const intervals: readonly Interval[] = JSON.parse(await line())
      await exit
      return intervals
    },
  }
}
