import { isDeepStrictEqual } from 'node:util'
import type { VolumeIdentity } from '../../expander.ts'
import { ConformanceFailure, holds } from '../suite.ts'
import { type ProviderCase, refusal } from './probe.ts'

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isFlag = (value: unknown): boolean => typeof value === 'boolean'

/** What a provider says about itself, and how it names volumes. */
export const namingCases: readonly ProviderCase[] = [
  {
    name: 'capabilities: declared in full',
    run: async ({ expander, capabilities }) => {
      const { granularity, readBatch, progress, hostsSeeGrowth, pace, poll, seenAs = 'device' } = capabilities
      holds(isText(expander.name), 'A provider has a name.')
      holds(typeof granularity === 'bigint' && granularity > 0n, 'granularity is a bigint of at least one byte.')
      holds(Number.isSafeInteger(readBatch) && readBatch > 0, 'readBatch is a whole number of at least 1.')
      holds(isFlag(progress) && isFlag(hostsSeeGrowth), 'progress and hostsSeeGrowth are declared as true or false.')
      for (const bucket of [pace?.read, pace?.expand]) {
        if (bucket === undefined) continue
        holds(bucket.burst >= 1 && bucket.perSecond > 0, 'A pace lets at least one request through, and more in time.')
      }
      for (const time of poll === undefined ? [] : [poll.first, poll.cap, poll.window]) {
        holds(Number.isFinite(time) && time >= 0, 'The times of poll are milliseconds, and not below 0.')
      }
      holds(seenAs === 'device' || seenAs === 'mount', `${seenAs} is not a way in which hosts have volumes.`)
    },
  },
  {
    name: 'normalize: the same every time',
    run: async (probe) => {
      const { ref } = await probe.subject()
      const before = structuredClone(ref)
      const [first, second] = [probe.expander.normalize(ref), probe.expander.normalize(ref)]
      for (const part of ['scope', 'key', 'label'] as const) holds(isText(first[part]), `The ${part} is empty.`)
      holds(isDeepStrictEqual(first, second), 'The same ref was normalised in two ways.')
      holds(isDeepStrictEqual(ref, before), 'normalize changed the ref.')
    },
  },
  {
    name: 'normalize: every spelling has one key',
    run: async (probe) => {
      const { ref, spellings = [] } = await probe.subject()
      const one = probe.expander.normalize(ref)
      for (const spelling of spellings) {
        const other = probe.expander.normalize(spelling)
        holds(
          sameVolume(one, other),
          `One volume has the keys ${one.key} and ${other.key}: both could be grown at once.`,
        )
      }
    },
  },
  {
    name: 'normalize: two volumes have two keys',
    run: async (probe) => {
      const [one, other] = [await probe.subject(), await probe.subject()].map(({ ref }) =>
        probe.expander.normalize(ref),
      )
      holds(one !== undefined && other !== undefined && !sameVolume(one, other), 'Two volumes have one key.')
      holds(one.scope === other.scope, 'The volumes of the setup are not of one scope.')
    },
  },
  {
    name: 'normalize: refuses what is malformed',
    run: async ({ expander, setup }) => {
      for (const ref of setup.malformed) {
        const what = `normalising ${typeof ref === 'string' ? JSON.stringify(ref) : typeof ref}`
        refusal(
          thrown(() => expander.normalize(ref), what),
          'invalid-reference',
          what,
        )
      }
    },
  },
]

export function sameVolume(one: VolumeIdentity, other: VolumeIdentity): boolean {
  return one.key === other.key && one.scope === other.scope
}

function thrown(call: () => unknown, what: string): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new ConformanceFailure(`${what} has to throw.`)
}
