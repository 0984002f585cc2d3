import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benchFleet } from './fleet/index.ts'
import type { GrowthCase, Rounds } from './growth/cases.ts'
import { measureImport } from './imports.ts'
import { inUserModeLinux, type KernelResult, onThisKernel } from './kernels.ts'
import { buildPackage } from './package.ts'
import { withBenchPart, withSshPart } from './readme.ts'
import { type BenchResults, isBusy, summarise } from './results.ts'
import { entrySizes } from './sizes.ts'
import { measureSsh } from './ssh/index.ts'
import { summariseSsh } from './ssh/results.ts'
import { sshReadme } from './ssh/tables.ts'
import { readmePart, report } from './tables.ts'

const usage = `npm run bench -- [options]
  --quick               fewer sizes and rounds: a minute or two
  --readme              writes the table into README.md, unless the machine was busy
  --only PART           one of growth, xfs, ext4, offline, ssh, import, size, fleet; may be repeated. fleet: only when it is asked for
  --scratch DIRECTORY   where this kernel's images are made; the temporary directory unless said
`
const parts = ['xfs', 'ext4', 'offline', 'ssh', 'import', 'size'] as const
/** Takes minutes, and says nothing about this machine. */
const askedFor = 'fleet'
type Part = (typeof parts)[number] | typeof askedFor

const full: Rounds = { growth: 15, nothingToDo: 30, stall: 15, cold: 10 }
const quick: Rounds = { growth: 5, nothingToDo: 5, stall: 4, cold: 0 }

function casesOf(filesystem: GrowthCase['filesystem'], online: boolean, isQuick: boolean): readonly GrowthCase[] {
  const small = { filesystem, online, from: 10, to: 20, rounds: isQuick ? quick : full }
  if (isQuick) return [small]
  const rounds = { growth: 9, nothingToDo: 0, stall: 9, cold: 0 }
  const larger = filesystem === 'xfs' ? [100, 1000] : [100]
  return [small, ...larger.map((to) => ({ ...small, to, rounds }))]
}

function wanted(only: readonly string[]): ReadonlySet<Part> {
  const named = only.flatMap((name): readonly Part[] => {
    if (name === 'growth') return ['xfs', 'ext4', 'offline']
    const part = [...parts, askedFor].find((candidate): candidate is Part => candidate === name)
    if (part === undefined) throw new TypeError(`There is no part ${name}.\n${usage}`)
    return [part]
  })
  return new Set(named.length === 0 ? parts : named)
}

/** Ends what a run has started elsewhere. */
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
}

async function bench(only: ReadonlySet<Part>, isQuick: boolean, scratch: string | undefined): Promise<BenchResults> {
  const directory = await mkdtemp(join(tmpdir(), 'volume-expander-bench-'))
  const loadBefore = loadavg()[0] ?? 0
  try {
    if ([...only].some((part) => part !== 'size' && part !== askedFor)) {
      console.error('Building the package …')
      await buildPackage(directory)
    }
    const kernels: KernelResult[] = []
    const here = [
      ...(only.has('xfs') ? casesOf('xfs', true, isQuick) : []),
      ...(only.has('offline') ? casesOf('ext4', false, isQuick) : []),
    ]
    if (here.length > 0) {
      console.error('Growing on this kernel …')
      kernels.push(...(await onThisKernel(directory, here, scratch)))
    }
    interruption.signal.throwIfAborted()
    if (only.has('ext4')) {
      console.error('Growing in User-Mode Linux …')
      kernels.push(await inUserModeLinux(directory, casesOf('ext4', true, isQuick), interruption.signal))
    }
    interruption.signal.throwIfAborted()
    if (only.has('ssh')) console.error('Growing over SSH …')
    const ssh = only.has('ssh') ? await measureSsh(directory, isQuick, scratch) : undefined
    if (only.has('import')) console.error('Importing …')
    return {
      measuredAt: new Date().toISOString(),
      node: process.versions.node,
      processors: availableParallelism(),
      loadBefore,
      quick: isQuick,
      growth: kernels.flatMap((result) => ('output' in result ? summarise(result.where, result.output) : [])),
      ...(only.has('import') ? { imports: await measureImport(directory, isQuick ? 15 : 60) } : {}),
      ...(only.has(askedFor) ? { fleet: await benchFleet(isQuick) } : {}),
      ...(ssh !== undefined && 'output' in ssh ? { ssh: summariseSsh(ssh.output) } : {}),
      sizes: only.has('size') ? await entrySizes() : [],
      leftOut: [
        ...kernels.flatMap((result) => ('leftOut' in result ? [`${result.where}: ${result.leftOut}`] : [])),
        ...(ssh !== undefined && 'leftOut' in ssh ? [ssh.leftOut] : []),
      ],
    }
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function save(results: BenchResults): Promise<string> {
  const directory = fileURLToPath(new URL('results/', import.meta.url))
  await mkdir(directory, { recursive: true })
  const path = join(directory, `${results.measuredAt.replaceAll(':', '-')}.json`)
  await writeFile(path, `${JSON.stringify(results, undefined, 2)}\n`)
  return relative(process.cwd(), path)
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    scratch: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
} else {
  const results = await bench(wanted(values.only), values.quick, values.scratch)
  for (const line of report(results)) console.log(line)
  console.log(`\nAll of it as JSON: ${await save(results)}`)
  if (values.readme && isBusy(results)) {
    console.error('README.md was left as it is: the machine was busy with other things.')
    process.exitCode = 1
  } else if (values.readme) {
    const path = new URL('../README.md', import.meta.url)
    const text = await readFile(path, 'utf8')
    const { ssh } = results
    const isSshAlone = ssh !== undefined && results.growth.length === 0
    await writeFile(path, isSshAlone ? withSshPart(text, sshReadme(ssh)) : withBenchPart(text, readmePart(results)))
    console.log('README.md has the table now.')
  }
}
