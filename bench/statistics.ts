/** What a list of measurements comes to. The middle and both ends: on a shared machine an average says little. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  readonly count: number
}

/** @throws {RangeError} when there is nothing to summarise */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b)
  const [least] = sorted
  const most = sorted.at(-1)
  if (least === undefined || most === undefined) throw new RangeError('Nothing was measured.')
  const upper = sorted[Math.floor(sorted.length / 2)] ?? most
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? least
  return { median: (lower + upper) / 2, least, most, count: sorted.length }
}

/** What `of(left, right)` comes to over pairs that were measured one right after the other, so that a slow moment of the machine meets both. */
export function pairwise(
  left: readonly number[],
  right: readonly number[],
  of: (left: number, right: number) => number,
): Spread {
  if (left.length !== right.length) throw new RangeError('Only pairs can be compared.')
  return spreadOf(left.map((value, index) => of(value, right[index] ?? Number.NaN)))
}

/** The longest of the intervals that a window meets, whole; undefined when it meets none. */
export function longestWithin(
  intervals: readonly (readonly [from: number, to: number])[],
  [begin, end]: readonly [from: number, to: number],
): number | undefined {
  const lengths = intervals.filter(([from, to]) => from <= end && to >= begin).map(([from, to]) => to - from)
  return lengths.length === 0 ? undefined : Math.max(...lengths)
}
