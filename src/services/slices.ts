import { type Clock, systemClock } from '../clock.ts'

/** Milliseconds of work after which other work of the event loop comes first. */
const slice = 5

let lastTurn: Promise<void> = Promise.resolve()

/** Lets the rest of the process go on. Whoever waits here at the same time goes on in a turn of the event loop of his own: together they would hold it up after all. */
function nextTurn(): Promise<void> {
  lastTurn = lastTurn.then(() => new Promise((resolve) => setImmediate(resolve)))
  return lastTurn
}

/** Counts a stretch of work, and ends it with {@link nextTurn} when it has become long. */
export class Slice {
  #begun: number = performance.now()

  get isOver(): boolean {
    return performance.now() - this.#begun >= slice
  }

  async next(): Promise<void> {
    await nextTurn()
    this.#begun = performance.now()
  }
}

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
  const work = new Slice()
  for (const [index, item] of items.entries()) {
    each(item, index)
    if (!isReal) continue
    await undefined
    if (work.isOver) await work.next()
  }
}
