import { describe, expect, test } from 'vitest'
import { runTargets } from '../../campaign/fuzz/run.ts'
import { promise, target } from '../../campaign/fuzz/target.ts'
import { targets } from '../../campaign/fuzz/targets/index.ts'

/** The part of the campaign that is fast; the whole is `npm run campaign -- fuzz`. */
const cases = 12_000

describe('fuzz', () => {
  test.each(targets.map((each) => [each.name, each] as const))('%s', { timeout: 60_000 }, async (_, each) => {
    const all = targets.reduce((sum, { cases: own }) => sum + own, 0)
    const plan = { seed: 7, cases: Math.max(1, Math.ceil((cases * each.cases) / all)) }
    for await (const { broken } of runTargets([each], plan)) expect(broken).toBeUndefined()
  })

  test('a broken promise is found, made simple, and found again by its number alone', async () => {
    const broken = target<number>({
      name: 'small',
      promise: 'every number is below 900',
      cases: 1000,
      make: (random) => random.below(1000),
      check(number) {
        promise(number < 900, () => `it is ${number}`)
        return 'held'
      },
      simpler: (number) => (number > 900 ? [number - 1] : []),
      show: String,
    })
    const [first] = await collected(runTargets([broken], { seed: 3, cases: 1000 }))
    expect(first?.broken).toMatchObject({ target: 'small', input: '900' })
    const [again] = await collected(runTargets([broken], { seed: 3, cases: 1, only: first?.broken?.number }))
    expect(again?.broken).toEqual(first?.broken)
  })
})

async function collected<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
