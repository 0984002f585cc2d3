// Measures growths on the kernel that it runs on. Argument: a RunnerSpec as a JSON file.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { longestWithin } from '../statistics.ts'
import type { ByVariant, CaseResult, GrowthCase, RunnerOutput, RunnerSpec, Sample, StallSample } from './cases.ts'
import { sharedClock } from './clock.ts'
import { countProcesses } from './processes.ts'
import { type Variant, variantsFor } from './variants.ts'
import { ScratchVolume } from './volume.ts'
import { startWriter } from './writer.ts'

const run = promisify(execFile)
/** Milliseconds of rest before each measurement, for what the machine does after a mount. */
const rest = 20

/** How often each is called, with nothing to do, before anything is measured. */
const warmCalls = 30

// Mounts and loop devices are not left behind.
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
}

/** Measures the variants in turn, round by round, each round beginning with another one: A B C, B C A, C A B. */
async function inTurn<Value>(
  variants: readonly Variant[],
  rounds: number,
  measure: (variant: Variant) => Promise<Value>,
): Promise<ByVariant<Value>> {
  const samples: Partial<Record<Variant['name'], Value[]>> = {}
  for (let round = 0; round < rounds; round += 1) {
    const first = round % variants.length
    for (const variant of [...variants.slice(first), ...variants.slice(0, first)]) {
      interruption.signal.throwIfAborted()
      const list = samples[variant.name] ?? []
      samples[variant.name] = list
      list.push(await measure(variant))
    }
  }
  return samples
}

async function measureCase(growthCase: GrowthCase, directory: string, isolated: boolean): Promise<CaseResult> {
  const { rounds } = growthCase
  const variants = variantsFor(growthCase)
  const volume = new ScratchVolume(directory, growthCase)
  const timed = async ({ grow }: Variant): Promise<Sample> => {
    await sleep(rest)
    let milliseconds = 0
    const processes = await countProcesses(isolated, async () => {
      const began = performance.now()
      await grow(volume)
      milliseconds = performance.now() - began
    })
    volume.requireGrown()
    return { milliseconds, processes }
  }
  const grown = async (variant: Variant): Promise<Sample> => {
    volume.remake()
    return timed(variant)
  }
  try {
    // Unmeasured: a process that has grown things before has compiled what is interpreted at first. What it costs one that has not is measured apart.
    await inTurn(variants, 2, grown)
    await inTurn(variants, warmCalls, timed)
    const growth = await inTurn(variants, rounds.growth, grown)
    const nothingToDo = await inTurn(variants, rounds.nothingToDo, timed)
    const window = Math.max(...Object.values(growth).flatMap((samples) => samples.map((sample) => sample.milliseconds)))
    const stall = await inTurn(variants, growthCase.online ? rounds.stall : 0, (variant) =>
      measureStall(variant, volume, window),
    )
    const cold = await inTurn(variants, rounds.cold, (variant) => measureCold(variant, volume))
    return { growthCase, growth, nothingToDo, stall, cold }
  } finally {
    volume.dispose()
  }
}

/** Looks at as long a time whichever variant grows: in a longer one the writer has more rounds, and the longest of more rounds is longer by chance alone. */
async function measureStall(variant: Variant, volume: ScratchVolume, window: number): Promise<StallSample> {
  volume.remake()
  const writer = await startWriter(volume.mountPoint)
  await sleep(rest + window)
  const began = sharedClock()
  await variant.grow(volume)
  await sleep(rest + Math.max(0, began + window - sharedClock()))
  const intervals = await writer.stop()
  volume.requireGrown()
  const longest = longestWithin(intervals, [began, began + window])
  if (longest === undefined) throw new Error('The writer wrote nothing during the growth.')
  return { longest, before: longestWithin(intervals, [began - window, began - rest / 10]) ?? 0 }
}

async function measureCold({ name }: Variant, volume: ScratchVolume): Promise<Pick<Sample, 'milliseconds'>> {
  volume.remake()
  await sleep(rest)
  const program = fileURLToPath(new URL('single.js', import.meta.url))
  const { stdout } = await run(process.execPath, [program, name, JSON.stringify(volume)])
  volume.requireGrown()
  return { milliseconds: Number(stdout) }
}

/** What a program says of its version; resize2fs says it on standard error. */
async function versionOf(program: string, option: string): Promise<string> {
  const { stdout, stderr } = await run(program, [option]).catch((failed: { stdout: string; stderr: string }) => failed)
  return `${stdout}${stderr}`.split('\n')[0]?.trim() ?? program
}

async function main(specPath: string): Promise<void> {
  const spec: RunnerSpec = JSON.parse(readFileSync(specPath, 'utf8'))
  const directory = mkdtempSync(join(spec.scratch ?? tmpdir(), 'volume-expander-bench-'))
  try {
    const cases: CaseResult[] = []
    for (const growthCase of spec.cases) {
      const { filesystem, online, from, to } = growthCase
      console.error(`  ${filesystem} ${online ? 'online' : 'offline'}, ${from} → ${to} GiB …`)
      cases.push(await measureCase(growthCase, directory, spec.isolated))
    }
    const used = new Set(spec.cases.map(({ filesystem }) => filesystem))
    const tools = [
      ...(used.has('xfs') ? [await versionOf('xfs_growfs', '-V')] : []),
      ...(used.has('ext4') ? [await versionOf('resize2fs', '-V')] : []),
    ]
    const output: RunnerOutput = { kernel: release(), tools, countedByKernel: spec.isolated, cases }
    writeFileSync(spec.output, JSON.stringify(output))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

await main(process.argv[2] ?? '')
