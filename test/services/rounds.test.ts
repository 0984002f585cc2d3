import { describe, expect, test } from 'vitest'
import { handleOf, type VolumeState } from '../../src/expander.ts'
import { expandMany } from '../../src/index.ts'
import { manage } from '../../src/services/managed.ts'
import { Pacer } from '../../src/services/pacing.ts'
import { GiB } from '../../src/size.ts'
import { type ScriptedProvider, scriptedProvider, type VirtualClock, virtualClock } from '../../src/testing/index.ts'
import { pollUntil } from '../../src/wait.ts'

/** A provider that declares a rhythm, and the ids of every read with its time. */
function rhythmic(count: number, options: { readonly window?: number; readonly growthTime?: number } = {}) {
  const { window = 2000, growthTime = 5500 } = options
  const clock: VirtualClock = virtualClock({ auto: true })
  const ids = Array.from({ length: count }, (_, index) => `v${index}`)
  const volumes = Object.fromEntries(ids.map((id) => [id, { size: GiB, growthTime }]))
  const scripted = scriptedProvider({ clock, volumes, readBatch: 500 })
  const reads: { readonly at: number; readonly refs: readonly string[] }[] = []
  const provider = {
    ...scripted,
    capabilities: { ...scripted.capabilities, poll: { first: 1000, cap: 5000, window } },
    read: (refs: readonly string[], given: { signal?: AbortSignal }) => {
      reads.push({ at: clock.now(), refs })
      return scripted.read(refs, given)
    },
  } satisfies ScriptedProvider
  const grow = async (id: string): Promise<number> => {
    const volume = manage(
      { ...handleOf(scripted.volume(id)), expander: provider as never },
      { clock, random: () => 0.5 },
    )
    await volume.expand((GiB * 2n) as typeof GiB)
    const looks = volume.follow()
    const { delay, schedule } = looks
    await pollUntil<VolumeState>({
      ...{ what: id, layer: 'volume', clock, random: () => 0.5, deadline: clock.now() + 600_000 },
      ...{ rounds: looks, delay, schedule },
      read: (signal) => volume.read(signal),
      judge: ({ phase }) => (phase === 'stable' ? 'done' : 'waiting'),
    })
    looks.end()
    return clock.now()
  }
  return { clock, ids, reads, grow }
}

describe('rounds', () => {
  test('many looks go together once in a window, and see what is ready within it', async () => {
    const { ids, reads, grow } = rhythmic(400)
    const ended = await Promise.all(ids.map(grow))
    // None before anything can be over, and then three.
    expect(reads.map(({ at }) => Math.round(at / 100))).toEqual([28, 45, 63])
    expect(reads.every(({ refs }) => refs.length === 400)).toBe(true)
    expect(Math.max(...ended) - 5500).toBeLessThanOrEqual(2000)
  })

  test('more than a batch holds go in as few requests as they fit in', async () => {
    const { ids, reads, grow } = rhythmic(1200, { growthTime: 1500 })
    await Promise.all(ids.map(grow))
    expect(reads.map(({ refs }) => refs.length)).toEqual([500, 500, 200])
  })

  test('one alone is looked at after the declared delay, and waits for nobody', async () => {
    const { reads, grow } = rhythmic(1, { growthTime: 900 })
    expect(await grow('v0')).toBe(1000)
    expect(reads).toHaveLength(1)
  })

  test('few wait a little, not for the whole window', async () => {
    const { ids, grow } = rhythmic(3, { growthTime: 900 })
    for (const end of await Promise.all(ids.map(grow))) expect(end).toBeLessThan(1400)
  })

  test('those who come while others are followed join the next round', async () => {
    const { clock, ids, reads, grow } = rhythmic(100, { growthTime: 10_000 })
    const late = async (id: string, index: number): Promise<number> => {
      await clock.sleep(index * 60)
      return await grow(id)
    }
    await Promise.all(ids.map(late))
    // 16 seconds from the first to the last, the window growing with them; one by one it would be more than 300.
    expect(reads.length).toBeLessThanOrEqual(15)
  })

  test('those who wait cost neither a timer nor a request each', async () => {
    const { clock, ids, reads, grow } = rhythmic(300, { growthTime: 60_000 })
    const pending: number[] = []
    const watching = (async () => {
      for (let look = 0; look < 20; look += 1) {
        await clock.sleep(1501)
        pending.push(clock.pending)
      }
    })()
    await Promise.all([...ids.map(grow), watching])
    // The next round's, the deadlines', and that of the look itself.
    expect(Math.max(...pending)).toBeLessThanOrEqual(4)
    expect(reads.length).toBeLessThanOrEqual(36)
  })

  test('an aborted one leaves the round, and disturbs nobody', async () => {
    const clock = virtualClock({ auto: true })
    const scripted = scriptedProvider({
      clock,
      volumes: { a: { size: GiB, growthTime: 3000 }, b: { size: GiB, growthTime: 3000 } },
    })
    const provider = {
      ...scripted,
      capabilities: { ...scripted.capabilities, poll: { first: 1, cap: 1, window: 2000 } },
    }
    const follow = async (id: string, signal?: AbortSignal): Promise<unknown> => {
      const volume = manage(
        { ...handleOf(scripted.volume(id)), expander: provider as never },
        { clock, random: () => 0 },
      )
      const looks = volume.follow()
      return volume.read(signal).finally(() => looks.end())
    }
    const abort = new AbortController()
    const [first, second] = [follow('a', abort.signal), follow('b')]
    abort.abort(new Error('enough'))
    await expect(first).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    await expect(second).resolves.toMatchObject({ key: 'b' })
  })
})

describe('groups', () => {
  test('requests that have to wait go together, no slower in all', async () => {
    const clock = virtualClock({ auto: true })
    const pacer = new Pacer({ burst: 10, perSecond: 2, together: true }, clock)
    const times: number[] = []
    await Promise.all(
      Array.from({ length: 34 }, async () => {
        await pacer.take()
        times.push(clock.now())
      }),
    )
    expect([...new Set(times)]).toEqual([0, 5000, 10_000, 12_000])
    expect(times.filter((time) => time === 5000)).toHaveLength(10)
  })

  test('one that waits alone goes as soon as it may', async () => {
    const clock = virtualClock({ auto: true })
    const pacer = new Pacer({ burst: 10, perSecond: 2, together: true }, clock)
    await Promise.all(Array.from({ length: 10 }, () => pacer.take()))
    await pacer.take()
    expect(clock.now()).toBe(500)
  })
})

test('a fleet whose provider declares no rhythm is followed as before', async () => {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({
    clock,
    volumes: { a: { size: GiB, growthTime: 400 }, b: { size: GiB, growthTime: 400 } },
  })
  const report = await expandMany(['a', 'b'].map((key) => ({ volume: provider.volume(key), to: '2Gi', clock })))
  expect(report.succeeded).toBe(2)
  expect(clock.now()).toBeLessThan(1500)
})
