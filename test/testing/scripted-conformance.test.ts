import { describe, test } from 'vitest'
import { type ProviderSetup, providerCases } from '../../src/conformance/index.ts'
import { bytes, GiB } from '../../src/size.ts'
import { scriptedProvider, virtualClock } from '../../src/testing/index.ts'

function setup(growthTime: number): ProviderSetup<string> {
  const clock = virtualClock()
  const provider = scriptedProvider({
    clock,
    volumes: {},
    growthTime,
    progress: growthTime > 0,
    readBatch: 5,
    snapshots: { time: 400 },
  })
  let made = 0
  return {
    expander: provider,
    volume: async () => {
      made += 1
      const key = `vol-${made}`
      provider.setVolume(key, bytes(2n * GiB))
      return {
        ref: key,
        spellings: [`scripted:${key}`],
        measure: async () => provider.state(key).size,
        grow: async (size) => provider.setVolume(key, size),
      }
    },
    missing: 'none',
    missingSnapshot: 'none',
    loseAnswer: (key) => provider.setVolume(key, { size: provider.state(key).size, lostAnswers: 1 }),
    malformed: ['', 'a b', 5, null, undefined, {}],
    pause: () => clock.advance(100),
  }
}

describe.each([
  ['at once', 0],
  ['within a second', 1000],
])('a scripted provider whose volumes grow %s', (_name, growthTime) => {
  for (const { name, skip, run } of providerCases(setup(growthTime))) {
    if (skip === undefined) test(name, run)
  }
})
