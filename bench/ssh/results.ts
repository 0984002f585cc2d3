import { pairwise, type Spread, spreadOf } from '../statistics.ts'
import { type SshRunnerOutput, type SshSample, type WayName, wayNames } from './cases.ts'

export interface SshSummary {
  readonly kernel: string
  readonly client: string
  readonly ways: { readonly [Name in WayName]: WaySummary }
}

export interface WaySummary {
  readonly connections: Spread
  readonly sessions: Spread
  readonly sent: Spread
  readonly received: Spread
  /** How often the wire was waited for: by how much the wall time grows with the latency. Connecting is part of it where the way connects. */
  readonly waits: number
  readonly links: readonly WayOverLink[]
}

export interface WayOverLink {
  /** Milliseconds added to a round trip. */
  readonly latency: number
  readonly milliseconds: Spread
  /** Of the wall time to the script's, pair by pair. */
  readonly ratio: Spread
}

export function summariseSsh({ kernel, client, links }: SshRunnerOutput): SshSummary {
  const summary = (name: WayName): WaySummary => {
    const all = links.flatMap(({ samples }) => samples[name])
    const over = links.map(({ latency, samples }): WayOverLink => {
      const own = samples[name].map(({ milliseconds }) => milliseconds)
      const script = samples.script.map(({ milliseconds }) => milliseconds)
      const ratio = pairwise(own, script, (one, other) => one / other)
      return { latency, milliseconds: spreadOf(own), ratio }
    })
    const spread = (of: (sample: SshSample) => number): Spread => spreadOf(all.map(of))
    return {
      connections: spread(({ connections }) => connections),
      sessions: spread(({ sessions }) => sessions),
      sent: spread(({ sent }) => sent),
      received: spread(({ received }) => received),
      waits: slopeOf(over),
      links: over,
    }
  }
  const entries = wayNames.map((name) => [name, summary(name)] as const)
  return { kernel, client, ways: Object.fromEntries(entries) as { readonly [Name in WayName]: WaySummary } }
}

/** Between the shortest and the longest link. */
export function slopeOf(links: readonly Pick<WayOverLink, 'latency' | 'milliseconds'>[]): number {
  const sorted = [...links].sort((a, b) => a.latency - b.latency)
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || last === undefined || first.latency === last.latency) {
    throw new RangeError('Two links are needed to tell what the latency costs.')
  }
  return (last.milliseconds.median - first.milliseconds.median) / (last.latency - first.latency)
}
