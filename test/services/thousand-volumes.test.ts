import { expect, test, vi } from 'vitest'
import type { Clock, Random } from '../../src/clock.ts'
import { VolumeExpansionError } from '../../src/errors.ts'
import { handleOf, type VolumeState } from '../../src/expander.ts'
import { KeyedLock } from '../../src/services/lock.ts'
import { manage } from '../../src/services/managed.ts'
import { rememberedScopes } from '../../src/services/scope.ts'
import { bytes, GiB } from '../../src/size.ts'
import {
  type ScriptedProvider,
  type ScriptedProviderOptions,
  scriptedProvider,
  seededRandom,
  virtualClock,
} from '../../src/testing/index.ts'
import { pollUntil } from '../../src/wait.ts'

// It takes a second or two alone on a machine, and several times that on a busy one.
vi.setConfig({ testTimeout: 120_000 })

const before = bytes(10n * GiB)
const after = bytes(20n * GiB)
const keys = Array.from({ length: 1000 }, (_, index) => `vol-${index}`)
const failing = 'vol-500'
const losing = ['vol-7', 'vol-77', 'vol-777']
const leaving = keys.slice(100, 110)

interface World {
  readonly provider: ScriptedProvider
  readonly clock: Clock
  readonly random: Random
  readonly lock: { acquire: KeyedLock['acquire'] }
  polls: number
  /** How many growths of a volume are going on, and the most that ever were. */
  readonly going: Map<string, number>
  mostAtOnce: number
}

function worldOf(provider: ScriptedProvider, clock: Clock, lock: World['lock'], seed: number): World {
  return { provider, clock, random: seededRandom(seed), lock, polls: 0, going: new Map(), mostAtOnce: 0 }
}

async function grow(world: World, key: string, signal?: AbortSignal): Promise<VolumeState> {
  const { provider, clock, random, lock } = world
  const volume = manage(handleOf(provider.volume(key)), { clock, random })
  const held = await lock.acquire(key, { signal })
  const going = (world.going.get(key) ?? 0) + 1
  world.going.set(key, going)
  world.mostAtOnce = Math.max(world.mostAtOnce, going)
  try {
    const now = await volume.read(signal)
    if (now.size < after) await volume.expand(after, signal)
    return await pollUntil({
      what: `${key} to grow`,
      layer: 'volume',
      read: (readSignal) => {
        world.polls += 1
        return volume.read(readSignal)
      },
      judge: (state) => {
        if (state.phase !== 'failed') return state.phase === 'stable' && state.size >= after ? 'done' : 'waiting'
        throw new VolumeExpansionError('backend-failed', `${key} failed`, { layer: 'volume', outcome: 'unchanged' })
      },
      deadline: clock.now() + 600_000,
      clock,
      random,
      signal,
    })
  } finally {
    world.going.set(key, (world.going.get(key) ?? 0) - 1)
    held.release()
  }
}

function volumes(): NonNullable<ScriptedProviderOptions['volumes']> {
  return Object.fromEntries(
    keys.map((key, index) => [
      key,
      {
        size: before,
        // From 20 to 60 seconds, so that they do not end together.
        growthTime: 20_000 + index * 40,
        failingGrowths: key === failing ? 1 : 0,
        lostAnswers: losing.includes(key) ? 2 : 0,
      },
    ]),
  )
}

const throttle = { read: { burst: 5, perSecond: 5 }, expand: { burst: 20, perSecond: 20 } }

test.each([
  ['the provider declares no pace at all', undefined],
  [
    'the provider declares a pace that is too fast',
    { read: { burst: 10, perSecond: 8 }, expand: { burst: 50, perSecond: 40 } },
  ],
])('1,000 volumes are grown at once while %s', async (_name, pace) => {
  const clock = virtualClock()
  const provider = scriptedProvider({
    ...{ clock, volumes: volumes(), throttle, latency: 50, retryAfter: 1000 },
    ...(pace !== undefined && { pace }),
  })
  const lock = new KeyedLock()
  const world = worldOf(provider, clock, lock, 1)
  const controllers = new Map(leaving.map((key) => [key, new AbortController()]))
  const results = clock.run(Promise.allSettled(keys.map((key) => grow(world, key, controllers.get(key)?.signal))))
  // Half of those that leave do so early, when most still queue, the others when they are being polled.
  const [early, late] = [leaving.slice(0, 5), leaving.slice(5)]
  const leave = (going: readonly string[], why: string): void => {
    for (const key of going) controllers.get(key)?.abort(new Error(why))
  }
  void clock.sleep(500).then(() => leave(early, 'early'))
  void clock.sleep(15_000).then(() => leave(late, 'late'))

  const outcomes = new Map((await results).map((result, index) => [keys[index], result]))
  const unexpected = [...outcomes].filter(
    ([key = '', result]) => result.status === 'rejected' && key !== failing && !leaving.includes(key),
  )
  expect(unexpected).toEqual([])
  for (const [key = '', result] of outcomes) {
    if (result.status === 'fulfilled') expect(result.value).toMatchObject({ key, size: after, phase: 'stable' })
  }
  expect(outcomes.get(failing)).toMatchObject({ status: 'rejected', reason: { code: 'backend-failed' } })
  expect(provider.state(failing).size).toBe(before)
  for (const key of leaving) expect(outcomes.get(key)).toMatchObject({ reason: { code: 'aborted' } })

  const accepted = new Map<string, number>()
  for (const { key } of provider.mutations) accepted.set(key, (accepted.get(key) ?? 0) + 1)
  expect(Math.max(...accepted.values())).toBe(1)
  expect(accepted.size).toBeGreaterThanOrEqual(990)
  expect(accepted.size).toBeLessThanOrEqual(1000)

  // Throttling did happen, and no caller ever saw it.
  expect(provider.calls.throttled).toBeGreaterThan(0)
  expect(world.polls).toBeGreaterThan(5000)
  // Without sharing, every poll would be a request.
  expect(provider.calls.read).toBeLessThan(world.polls / 10)
  expect(provider.calls.read).toBeLessThan(1000)
  expect(world.mostAtOnce).toBe(1)
  expect(lock.size).toBe(0)

  await clock.advance(120_000)
  expect(rememberedScopes(clock)).toBeLessThanOrEqual(1)
  expect(clock.pending).toBe(0)
})

const unlocked: World['lock'] = { acquire: async (key) => ({ key, waited: false, release: () => undefined }) }

test.each([
  ['never run at once under the lock', new KeyedLock(), 1],
  ['would run at once without it', unlocked, 3],
])('growths of one volume %s, and make one mutation', async (_name, lock, mostAtOnce) => {
  const clock = virtualClock()
  const provider = scriptedProvider({ clock, volumes: { one: before }, latency: 10, growthTime: 5000 })
  const world = worldOf(provider, clock, lock, 2)
  await clock.run(Promise.all([grow(world, 'one'), grow(world, 'one'), grow(world, 'one')]))
  expect(world.mostAtOnce).toBe(mostAtOnce)
  expect(provider.mutations).toHaveLength(1)
  expect(provider.state('one').size).toBe(after)
})
