import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What many growths at once cost the process that waits for them, over real connections. */
export interface InFlight {
  readonly count: number
  readonly succeeded: number
  /** Bytes of the heap for each, above the idle process, while all are in flight. */
  readonly bytesEach: number
  /** Milliseconds by which the event loop was late. */
  readonly delayP99: number
  readonly delayMost: number
  /** Milliseconds of processor time for each, from its request to its report. */
  readonly cpuEach: number
}

export async function measureInFlight(count: number): Promise<InFlight> {
  const emulator = forked('emulator-process.ts', [`${count}`], [])
  try {
    const [url] = (await once(emulator, 'message')) as [string]
    const measured = forked('in-flight-process.ts', [`${count}`, url], ['--expose-gc'])
    const ended = once(measured, 'exit').then(([code]) => {
      throw new Error(`The measured process ended with ${code}.`)
    })
    ended.catch(() => {})
    const [result] = (await Promise.race([once(measured, 'message'), ended])) as [InFlight]
    return result
  } finally {
    emulator.disconnect()
  }
}

function forked(name: string, args: readonly string[], options: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(name, import.meta.url))
  return fork(path, args, { execArgv: ['--import', 'tsx', '--no-warnings', ...options] })
}
