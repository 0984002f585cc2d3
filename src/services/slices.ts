import { type Clock, systemClock } from '../clock.ts'

/** Milliseconds of work after which other work of the event loop comes first. */
const slice = 5

/**
 * Does something for each item, and lets the rest of the process go on after every few milliseconds: thousands of volumes would hold it up for a second. What `each` sets
 * off between promises counts as its time. On another clock than the system's, time passes only when nothing is left to do, and it is done at once.
 */
export async function inSlices<Item>(
  clock: Clock,
  items: readonly Item[],
  each: (item: Item, index: number) => void,
): Promise<void> {
  const isReal = clock === systemClock
  let begun = performance.now()
  for (const [index, item] of items.entries()) {
    each(item, index)
    if (!isReal) continue
    await undefined
    if (performance.now() - begun < slice) continue
    await new Promise((resolve) => setImmediate(resolve))
    begun = performance.now()
  }
}
