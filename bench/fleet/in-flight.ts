import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { esbuild } from '../../scripts/esbuild.ts'

/** What many growths at once cost the process that waits for them, over real connections. */
export interface InFlight {
  readonly count: number
  readonly succeeded: number
  /** Bytes of the heap for each, above the idle process, while all are in flight. */
  readonly bytesEach: number
  /** Milliseconds by which the event loop was late. */
  readonly delayP99: number
  /** The same less the time for which the kernel ran others. */
  readonly ownDelayP99: number
  readonly delayMost: number
  /** The same of a process that does nothing, at the same time: what the machine itself adds. */
  readonly idleDelayP99: number
  /** Milliseconds of processor time for each, from its request to its report. */
  readonly cpuEach: number
  readonly callsEach: number
}

type Measured = Omit<InFlight, 'idleDelayP99' | 'callsEach'>

/** Growths that are begun in a second: many times what an account may, so that all of them are in flight before the first is over. */
const perSecond = 200
/** Milliseconds that a growth takes, the same for each however many there are: what is done for it meanwhile can be compared. */
const modifying = 90_000

export async function measureInFlight(count: number): Promise<InFlight> {
  const emulator = await forked('emulator-process', [`${count}`, `${modifying}`], [])
  try {
    const [url] = (await once(emulator, 'message')) as [string]
    const measured = await forked('in-flight-process', [`${count}`, url, `${perSecond}`], ['--expose-gc'])
    const ended = once(measured, 'exit').then(([code]) => {
      throw new Error(`The measured process ended with ${code}.`)
    })
    ended.catch(() => {})
    // This process only waits.
    const idle = monitorEventLoopDelay({ resolution: 5 })
    idle.enable()
    const [result] = (await Promise.race([once(measured, 'message'), ended])) as [Measured]
    idle.disable()
    emulator.send('calls')
    const [calls] = (await once(emulator, 'message')) as [number]
    return { ...result, idleDelayP99: (idle.percentile(99) - 5e6) / 1e6, callsEach: calls / count }
  } finally {
    emulator.disconnect()
  }
}

/** Built as the package is: what runs sources directly names every function, which costs more memory than the rest. */
async function forked(name: string, args: readonly string[], options: readonly string[]): Promise<ChildProcess> {
  const outfile = fileURLToPath(new URL(`../results/${name}.mjs`, import.meta.url))
  const entryPoints = [fileURLToPath(new URL(`${name}.ts`, import.meta.url))]
  const target = { platform: 'node', format: 'esm', target: 'node20', external: ['@aws-sdk/*'] }
  await esbuild().build({ entryPoints, outfile, bundle: true, logLevel: 'error', ...target })
  return fork(outfile, args, { execArgv: ['--no-warnings', ...options] })
}
