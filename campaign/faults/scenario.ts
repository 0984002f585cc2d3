import type { Random } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { type Fault, faultsFor, showFault } from './fault.ts'
import type { Chooser, Exchange } from './wire.ts'
import type { Subject } from './world.ts'

/** A fault and the exchanges that it happens to. */
export interface Hit {
  readonly fault: Fault
  /** The first exchange that can meet it. */
  readonly from: number
  /** How many of those that it can happen to meet it; infinite: it lasts. */
  readonly times: number
  /** Of which kind of request. Left out: of any. */
  readonly operation?: string
  /** Only what changes something, or only what does not. Left out: both. */
  readonly only?: 'changes' | 'reads'
}

export interface PlannedRun {
  /** Runs of one process share its memory, and its locks. */
  readonly process: number
  readonly to: bigint
  /** Milliseconds after the beginning. */
  readonly at: number
  /** Left out: it is never aborted. */
  readonly abort?: Cue
}

/** When something happens: at a time, or as an exchange is sent or was served. */
export type Cue = { readonly at: number } | { readonly exchange: number; readonly stage: 'sent' | 'served' }

export type Incident = { readonly cue: Cue } & (
  | { readonly kind: 'grow' | 'ask'; readonly to: bigint }
  /** Milliseconds by which the process's clocks jump: the steady one only forward, the wall clock both ways. */
  | { readonly kind: 'jump'; readonly steady: number; readonly wall: number }
)

/** Everything that happens in one trial; the faultless run afterwards is not part of it. */
export interface Scenario {
  readonly key: string
  readonly hits: readonly Hit[]
  readonly runs: readonly PlannedRun[]
  readonly incidents: readonly Incident[]
  readonly rerun: {
    /** `0`: the process of the first run goes on; another one remembers nothing. */
    readonly process: number
    /** Whether it comes at once, or when the backend has come to rest. */
    readonly atOnce: boolean
  }
}

/** Picks what goes wrong with each exchange; the same for the same scenario. */
export function chooserOf({ hits }: Scenario, { kinds, absolute }: Subject): Chooser {
  const left = hits.map(({ times }) => times)
  return (exchange) => {
    const possible = faultsFor(kinds, exchange.mutates, absolute)
    const index = hits.findIndex((hit, at) => (left[at] ?? 0) > 0 && meets(hit, exchange, possible))
    if (index < 0) return undefined
    left[index] = (left[index] ?? 0) - 1
    return hits[index]?.fault
  }
}

function meets({ fault, from, operation, only }: Hit, exchange: Exchange, possible: readonly Fault[]): boolean {
  if (exchange.number < from) return false
  if (operation !== undefined && operation !== exchange.operation) return false
  if (only !== undefined && (only === 'changes') !== exchange.mutates) return false
  return possible.some(({ name, moment }) => name === fault.name && moment === fault.moment)
}

/** One run for every exchange of the run without faults × every fault that it can meet, once and lasting, with the rerun in the same process and in another. */
export function enumerated(subject: Subject, clean: readonly Exchange[]): readonly Scenario[] {
  const [to] = subject.targets
  return clean.flatMap(({ number, operation, mutates }) =>
    faultsFor(subject.kinds, mutates, subject.absolute).flatMap((fault) =>
      (['once', 'lasting'] as const).flatMap((long) =>
        // What lasts ends with the run: who comes afterwards makes a difference only where the growth may still be under way.
        (long === 'once' || mutates ? [0, 1] : [0]).map((process): Scenario => {
          const hit = long === 'once' ? { times: 1 } : { times: Number.POSITIVE_INFINITY, operation }
          return {
            key: `enumerated/${number}/${showFault(fault)}/${long}/${process === 0 ? 'same' : 'other'}`,
            hits: [{ fault, from: number, ...hit }],
            runs: [{ process: 0, to, at: 0 }],
            incidents: [],
            rerun: { process, atOnce: true },
          }
        }),
      ),
    ),
  )
}

/** One run for every kind of request that is denied from the beginning: what the waiting needs has to be missed before anything is begun. */
export function deniedFromTheStart(subject: Subject, clean: readonly Exchange[]): readonly Scenario[] {
  const denials = faultsFor(subject.kinds, false, true).filter(
    ({ name, moment }) => moment === 'before' && denials_.has(name),
  )
  const operations = [...new Set(clean.filter(({ mutates }) => !mutates).map(({ operation }) => operation))]
  return operations.flatMap((operation) =>
    denials.map(
      (fault): Scenario => ({
        key: `denied/${operation.replaceAll('/', '~')}/${showFault(fault)}`,
        hits: [{ fault, from: 1, times: Number.POSITIVE_INFINITY, operation }],
        runs: [{ process: 0, to: subject.targets[0], at: 0 }],
        incidents: [],
        rerun: { process: 0, atOnce: true },
      }),
    ),
  )
}

const denials_: ReadonlySet<string> = new Set(['401', '403', 'denied', 'EACCES'])

/** A trial of chance: everything in it follows from the seed and the number. */
export function random(subject: Subject, seed: number, number: number, length: number): Scenario {
  const chance = seededRandom(seed * 1_000_003 + number * 7919 + hashOf(subject.name))
  const pick = <T>(all: readonly T[]): T => {
    const found = all[Math.floor(chance() * all.length)]
    if (found === undefined) throw new TypeError('There is nothing to pick from.')
    return found
  }
  const maybe = (probability: number): boolean => chance() < probability
  const [small, large] = subject.targets
  const late = 8000
  const cue = (): Cue =>
    maybe(0.4)
      ? { at: Math.floor(chance() * late) }
      : { exchange: 1 + Math.floor(chance() * length * 1.5), stage: pick(['sent', 'served']) }
  const runs: PlannedRun[] = [{ process: 0, to: maybe(0.8) ? small : large, at: 0, ...abortOf(chance, cue) }]
  if (maybe(0.4)) {
    runs.push({
      process: subject.shared && maybe(0.6) ? 1 : 0,
      to: pick([small, large]),
      at: Math.floor(chance() * late),
      ...abortOf(chance, cue),
    })
  }
  const hits = Array.from({ length: Math.floor(chance() * 5) }, () => hitOf(subject, chance, pick, length))
  return {
    ...{ key: `random/${number}`, hits, runs, incidents: incidentsOf(subject, maybe, pick, chance, cue) },
    rerun: { process: maybe(0.5) ? 0 : 2, atOnce: false },
  }
}

function abortOf(chance: Random, cue: () => Cue): { readonly abort?: Cue } {
  return chance() < 0.3 ? { abort: cue() } : {}
}

function hitOf(subject: Subject, chance: Random, pick: <T>(all: readonly T[]) => T, length: number): Hit {
  const mutates = chance() < 0.5
  const fault = pick(faultsFor(subject.kinds, mutates, subject.absolute))
  const only = chance() < 0.6 ? { only: mutates ? ('changes' as const) : ('reads' as const) } : {}
  return {
    ...{ fault, from: 1 + Math.floor(chance() * length * 1.2), ...only },
    times: pick([1, 1, 1, 2, 3, 6, 25]),
  }
}

function incidentsOf(
  { shared, targets: [small, large], first }: Subject,
  maybe: (probability: number) => boolean,
  pick: <T>(all: readonly T[]) => T,
  chance: Random,
  cue: () => Cue,
): readonly Incident[] {
  const found: Incident[] = []
  if (shared && maybe(0.3)) {
    const to = pick([small, large, first + (small - first) / 2n])
    found.push({ kind: pick(['grow', 'ask']), to, cue: cue() })
  }
  if (maybe(0.3)) {
    const wall = pick([-86_400_000, -600_000, -1000, 1000, 600_000, 86_400_000])
    found.push({ kind: 'jump', steady: maybe(0.5) ? Math.floor(chance() * 1_800_000) : 0, wall, cue: cue() })
  }
  return found
}

function hashOf(text: string): number {
  let hash = 0
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003
  return hash
}
