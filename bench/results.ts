import type { FleetBench } from './fleet/index.ts'
import { fleetGoals } from './fleet/report.ts'
import type { Goal } from './goal.ts'
import type { CaseResult, RunnerOutput, VariantName } from './growth/cases.ts'
import { variantNames } from './growth/cases.ts'
import type { ImportCost } from './imports.ts'
import type { EntrySize } from './sizes.ts'
import type { SshSummary } from './ssh/results.ts'
import { pairwise, type Spread, spreadOf } from './statistics.ts'

/** What a run of the bench found, as it is written to a file. */
export interface BenchResults {
  readonly measuredAt: string
  readonly node: string
  readonly processors: number
  /** How many processes wanted to run in the minute before: more than none makes everything slower, and unevenly. */
  readonly loadBefore: number
  readonly quick: boolean
  readonly growth: readonly GrowthSummary[]
  readonly imports?: ImportCost
  readonly ssh?: SshSummary
  readonly sizes: readonly EntrySize[]
  readonly fleet?: FleetBench
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[]
}

/** One growth, or one call that finds nothing to do. */
export interface GrowthSummary {
  /** Such as `XFS online, 10 → 20 GiB`. */
  readonly name: string
  readonly where: string
  readonly kernel: string
  readonly tools: readonly string[]
  readonly countedByKernel: boolean
  readonly kind: 'growth' | 'nothing-to-do'
  readonly variants: { readonly [Name in VariantName]?: VariantSummary }
}

export interface VariantSummary {
  readonly processes: Spread
  readonly milliseconds: Spread
  /** Of the wall time to the bare tool's, pair by pair. */
  readonly ratio?: Spread
  /** The longest stall of the writer, in milliseconds. */
  readonly stall?: Spread
  readonly stallRatio?: Spread
  /** The same writer in windows of the same length before the growth. */
  readonly stallBefore?: Spread
  /** The first growth of a fresh process, in milliseconds. */
  readonly cold?: Spread
  readonly coldRatio?: Spread
}

export function summarise(
  where: string,
  { kernel, tools, countedByKernel, cases }: RunnerOutput,
): readonly GrowthSummary[] {
  const about = { where, kernel, tools, countedByKernel }
  return cases.flatMap((result) => {
    const name = nameOf(result)
    const growth = { ...about, name, kind: 'growth' as const, variants: variantsOf(result, result.growth) }
    if (Object.keys(result.nothingToDo).length === 0) return [growth]
    const { stall: _stall, cold: _cold, ...calls } = result
    const idle = variantsOf({ ...calls, stall: {}, cold: {} }, result.nothingToDo)
    return [
      growth,
      { ...about, name: `${filesystemOf(result)}, nothing to do`, kind: 'nothing-to-do' as const, variants: idle },
    ]
  })
}

function filesystemOf({ growthCase: { filesystem, online } }: CaseResult): string {
  return `${filesystem === 'xfs' ? 'XFS' : 'ext4'} ${online ? 'online' : 'offline'}`
}

function nameOf(result: CaseResult): string {
  return `${filesystemOf(result)}, ${result.growthCase.from} → ${result.growthCase.to} GiB`
}

function variantsOf({ stall, cold }: CaseResult, samples: CaseResult['growth']): GrowthSummary['variants'] {
  const entries = variantNames.flatMap((name): [VariantName, VariantSummary][] => {
    const own = samples[name]
    if (own === undefined) return []
    const times = own.map(({ milliseconds }) => milliseconds)
    return [
      [
        name,
        {
          processes: spreadOf(own.map(({ processes }) => processes)),
          milliseconds: spreadOf(times),
          ...ratio(
            'ratio',
            name,
            times,
            samples.tool?.map(({ milliseconds }) => milliseconds),
          ),
          ...spread(
            'stall',
            stall[name]?.map(({ longest }) => longest),
          ),
          ...spread(
            'stallBefore',
            stall[name]?.map(({ before }) => before),
          ),
          ...ratio(
            'stallRatio',
            name,
            stall[name]?.map(({ longest }) => longest),
            stall.tool?.map(({ longest }) => longest),
          ),
          ...spread(
            'cold',
            cold[name]?.map(({ milliseconds }) => milliseconds),
          ),
          ...ratio(
            'coldRatio',
            name,
            cold[name]?.map(({ milliseconds }) => milliseconds),
            cold.tool?.map(({ milliseconds }) => milliseconds),
          ),
        },
      ],
    ]
  })
  return Object.fromEntries(entries)
}

function spread<Key extends string>(
  key: Key,
  samples: readonly number[] | undefined,
): { readonly [Name in Key]?: Spread } {
  if (samples === undefined) return {}
  return { [key]: spreadOf(samples) } as { [Name in Key]: Spread }
}

function ratio<Key extends string>(
  key: Key,
  name: VariantName,
  samples: readonly number[] | undefined,
  tool: readonly number[] | undefined,
): { readonly [Name in Key]?: Spread } {
  if (name === 'tool' || samples === undefined || tool === undefined) return {}
  return { [key]: pairwise(samples, tool, (own, bare) => own / bare) } as { [Name in Key]: Spread }
}

/** What the project promises. */
export const limits = { ratio: 1.1, stallRatio: 1, importMilliseconds: 10, coreBytes: 25_000 } as const

export function goalsOf({ growth, imports, sizes, fleet }: BenchResults): readonly Goal[] {
  const online = growth.filter(({ name }) => name.includes('online'))
  const goals: Goal[] = []
  for (const { name, where, kind, variants } of online) {
    const { ours } = variants
    if (ours === undefined) continue
    const title = where === 'this kernel' ? name : `${name} (${where})`
    const most = kind === 'growth' ? 1 : 0
    goals.push({
      what: `${title}: processes`,
      limit: `${most}`,
      measured: `${ours.processes.most}`,
      reached: ours.processes.most <= most,
    })
    if (kind !== 'growth') continue
    for (const [label, value, limit] of [
      ['wall time beside the bare tool', ours.ratio, limits.ratio],
      ['longest stall beside the bare tool', ours.stallRatio, limits.stallRatio],
    ] as const) {
      if (value === undefined) continue
      const measured = `${value.median.toFixed(2)} ×`
      goals.push({
        what: `${title}: ${label}`,
        limit: `${limit.toFixed(2)} ×`,
        measured,
        reached: value.median <= limit,
      })
    }
  }
  if (imports !== undefined) {
    goals.push({
      what: 'import, over bare Node.js',
      limit: `${limits.importMilliseconds} ms`,
      measured: `${imports.over.median.toFixed(1)} ms`,
      reached: imports.over.median <= limits.importMilliseconds,
    })
    goals.push({
      what: 'third-party modules loaded',
      limit: '0',
      measured: `${imports.thirdParty.length}`,
      reached: imports.thirdParty.length === 0,
    })
  }
  if (fleet !== undefined) goals.push(...fleetGoals(fleet))
  const core = sizes.find(({ entry }) => entry === '.')
  if (core !== undefined) {
    goals.push({
      what: 'core entry, minified and gzipped',
      limit: kilobytes(limits.coreBytes),
      measured: kilobytes(core.loaded.gzippedBytes),
      reached: core.loaded.gzippedBytes <= limits.coreBytes,
    })
  }
  return goals
}

/** Whether other things ran when it began: then times say little, and those of neighbours only a little more. */
export function isBusy({ loadBefore, processors }: BenchResults): boolean {
  return loadBefore > processors / 2
}

export function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
