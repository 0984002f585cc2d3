import { Random } from './random.ts'
import type { Broken, Target, Verdict } from './target.ts'

export interface Plan {
  readonly seed: number
  /** Cases in all; the targets share them as they share a full run. */
  readonly cases: number
  /** Only this case of each target. */
  readonly only?: number | undefined
}

export interface Ran {
  readonly target: Target
  readonly cases: number
  readonly seconds: number
  readonly tally: ReadonlyMap<Verdict, number>
  readonly broken: Broken | undefined
}

/** Cases of the targets in a full run. */
export function fullRun(targets: readonly Target[]): number {
  return targets.reduce((sum, { cases, lacking }) => (lacking === undefined ? sum + cases : sum), 0)
}

/** Runs the targets one after the other, each up to the first promise that is broken. */
export async function* runTargets(
  targets: readonly Target[],
  { seed, cases, only }: Plan,
  begins: (target: string, number: number) => void = () => undefined,
): AsyncGenerator<Ran> {
  const all = fullRun(targets)
  for (const target of targets) {
    const share = only === undefined ? Math.max(1, Math.ceil((target.cases * cases) / all)) : 1
    const randomOf = (number: number): Random => new Random(seed, target.name, number)
    const tally = new Map<Verdict, number>()
    const start = performance.now()
    let [done, broken]: [number, Broken | undefined] = [0, undefined]
    while (done < share && broken === undefined && target.lacking === undefined) {
      const first = only ?? done
      const count = Math.min(target.atOnce, share - done)
      begins(target.name, first)
      broken = await target.run(
        Array.from({ length: count }, (_, index) => first + index),
        randomOf,
        tally,
      )
      done += count
    }
    yield { target, cases: done, seconds: (performance.now() - start) / 1000, tally, broken }
  }
}
