import { type ErrorCode, VolumeExpansionError } from '../../errors.ts'
import { holds } from '../suite.ts'
import { measures, type ProviderCase, refusal, refused } from './probe.ts'

const repetitions = 5

/** Codes with which a growth may be put off because another one to the same volume is under way. */
const conflicts: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['conflicting-change', 'too-soon', 'throttled'])

/** Whether an error says that another growth of the same volume came first, which is no fault of the provider. */
function isConflict(error: unknown): boolean {
  return error instanceof VolumeExpansionError && (conflicts.has(error.code) || error.retryable)
}

/** What `expand` promises. */
export const expandingCases: readonly ProviderCase[] = [
  {
    name: 'expand: reaches the size',
    run: async (probe) => {
      const volume = await probe.subject()
      const size = volume.above(1)
      await probe.expand(volume.ref, size)
      await probe.until(volume, size)
      // A multiple of the declared granularity is given as it was asked for.
      await measures(volume, size, 'growing it by one unit')
    },
  },
  {
    name: 'expand: is never done before it is done',
    run: async (probe) => {
      const volume = await probe.subject()
      const size = volume.above(3)
      await probe.expand(volume.ref, size)
      const { states } = await probe.until(volume, size)
      for (const { phase, growingTo } of states) {
        if (phase !== 'growing' || growingTo === undefined) continue
        holds(growingTo >= size, `It is on the way to ${growingTo} bytes, and ${size} were accepted.`)
      }
    },
  },
  {
    name: 'expand: a declared progress is shown, an undeclared one is not',
    run: async (probe) => {
      const volume = await probe.subject()
      await probe.expand(volume.ref, volume.above(4))
      const { states } = await probe.until(volume, volume.above(4))
      const shown = states.flatMap(({ progress }) => (progress === undefined ? [] : [progress]))
      holds(
        shown.every((progress) => progress >= 0 && progress <= 1),
        'A progress is from 0 to 1.',
      )
      if (probe.capabilities.progress) holds(shown.length > 0, 'Progress is declared, and no state had one.')
      else holds(shown.length === 0, 'Progress is not declared, and a state had one.')
    },
  },
  {
    name: 'expand: repeated, it grows once',
    run: async (probe) => {
      const volume = await probe.subject()
      const size = volume.above(2)
      const requestId = probe.requestId()
      for (let tries = 0; tries < repetitions; tries += 1) await probe.expand(volume.ref, size, undefined, requestId)
      await probe.until(volume, size)
      for (let tries = 0; tries < repetitions; tries += 1) await probe.expand(volume.ref, size)
      await probe.rest(volume)
      await measures(volume, size, `asking ${2 * repetitions} times for the same size`)
    },
  },
  {
    name: 'expand: to the size that is there',
    run: async (probe) => {
      const volume = await probe.subject()
      await probe.expand(volume.ref, volume.before)
      await probe.unchanged(volume, 'asking for the size that it has')
    },
  },
  {
    name: 'expand: never shrinks',
    run: async (probe) => {
      const volume = await probe.subject()
      await probe.expand(volume.ref, probe.capabilities.granularity)
      await probe.unchanged(volume, 'asking for less than it has')
    },
  },
  {
    name: 'expand: never shrinks what another tool has grown',
    run: async (probe) => {
      const volume = await probe.subject()
      await probe.state(volume.ref)
      await volume.grow(volume.above(4))
      await probe.expand(volume.ref, volume.above(1))
      await probe.rest(volume)
      await measures(volume, volume.above(4), 'asking for less than another tool has made of it')
    },
  },
  {
    name: 'expand: at once with others, the largest wins',
    run: async (probe) => {
      const volume = await probe.subject()
      const sizes = [1, 3, 2].map(volume.above)
      const ended = await Promise.allSettled(sizes.map((size) => probe.expand(volume.ref, size)))
      for (const end of ended) {
        if (end.status === 'rejected') holds(isConflict(end.reason), `A growth at the same time failed: ${end.reason}`)
      }
      const accepted = sizes.filter((_, index) => ended[index]?.status === 'fulfilled')
      const most = [3, 2, 1].map(volume.above).find((size) => accepted.includes(size))
      holds(most !== undefined, 'None of the growths was accepted.')
      await probe.until(volume, most)
      await probe.rest(volume)
      await measures(volume, most, 'growing it in three ways at once')
    },
  },
  {
    name: 'expand: grows no other volume',
    run: async (probe) => {
      const [volume, neighbour] = [await probe.subject(), await probe.subject()]
      // Read together first: what a provider remembers of a batch must not be mixed up.
      await probe.read([neighbour.ref, volume.ref])
      await probe.expand(volume.ref, volume.above(1))
      await probe.rest(volume)
      await probe.unchanged(neighbour, 'growing another one')
    },
  },
  {
    name: 'expand: refuses an aborted signal',
    run: async (probe) => {
      const volume = await probe.subject()
      const reason = new Error('no longer wanted')
      const call = probe.expand(volume.ref, volume.above(1), AbortSignal.abort(reason))
      const error = await refused(call, 'aborted', 'growing with an aborted signal')
      holds(error.cause === reason, "The cause is not the signal's reason.")
      await probe.unchanged(volume, 'a growth that was aborted before it began')
    },
  },
  {
    name: 'expand: an abort under way tells the truth',
    run: async (probe) => {
      const volume = await probe.subject()
      const abort = new AbortController()
      const call = probe.expand(volume.ref, volume.above(1), abort.signal)
      abort.abort(new Error('no longer wanted'))
      const [end] = await Promise.allSettled([call])
      await probe.rest(volume)
      const real = await volume.measure()
      holds(real <= volume.above(1), `It was asked for ${volume.above(1)} bytes, and has ${real}.`)
      if (end.status === 'fulfilled') return
      const error: unknown = end.reason
      holds(error instanceof VolumeExpansionError && error.code === 'aborted', `An abort became ${error}.`)
      holds(error.outcome !== 'unchanged' || real === volume.before, 'It grew, and the outcome says that it did not.')
    },
  },
  {
    name: 'expand: a lost answer is no failure',
    skip: ({ loseAnswer }) => (loseAnswer === undefined ? 'the setup cannot lose an answer' : undefined),
    run: async (probe) => {
      const volume = await probe.subject()
      const size = volume.above(2)
      const requestId = probe.requestId()
      probe.setup.loseAnswer?.(volume.ref)
      for (let tries = 1; ; tries += 1) {
        const [end] = await Promise.allSettled([probe.expand(volume.ref, size, undefined, requestId)])
        if (end.status === 'fulfilled') break
        const error: unknown = end.reason
        holds(error instanceof VolumeExpansionError, `A lost answer became ${error}.`)
        holds(
          tries > 1 || error.outcome !== 'unchanged',
          'It was accepted, and the outcome says that nothing was changed.',
        )
        holds(error.retryable || isConflict(error), `After a lost answer it cannot be asked again: ${error.message}`)
        holds(tries < repetitions, `Asked ${tries} times, it still fails: ${error.message}`)
        await probe.pause()
      }
      await probe.until(volume, size)
      await probe.rest(volume)
      await measures(volume, size, 'a growth whose answer was lost')
    },
  },
  {
    name: 'expand: a missing volume stays missing',
    run: async (probe) => {
      const { missing } = probe.setup
      const { above } = await probe.subject()
      await refused(probe.expand(missing, above(1)), 'not-found', 'growing a missing volume')
      const [outcome] = await probe.read([missing])
      refusal(outcome, 'not-found', 'reading a missing volume after it was to grow')
    },
  },
  {
    name: 'expand: refuses what is malformed',
    run: async (probe) => {
      const { above } = await probe.subject()
      for (const ref of probe.setup.malformed) {
        await refused(probe.expand(ref, above(1)), 'invalid-reference', 'growing a malformed ref')
      }
    },
  },
  {
    name: 'hosts: see the new size by themselves if that is declared',
    skip: ({ attached }) => (attached === undefined ? 'the setup has no host' : undefined),
    run: async (probe) => {
      const volume = await probe.attached()
      const size = volume.above(2)
      const shown = await volume.seen()
      await probe.expand(volume.ref, size)
      await probe.until(volume, size)
      const grown = await seenToGrow(volume.seen, shown, probe.setup.patience ?? 200, () => probe.pause(), {
        sure: !probe.capabilities.hostsSeeGrowth,
      })
      const declared = probe.capabilities.hostsSeeGrowth
      holds(
        grown === declared,
        `hostsSeeGrowth is declared as ${declared}, and the host ${grown ? 'saw' : 'did not see'} it.`,
      )
    },
  },
]

async function seenToGrow(
  seen: () => Promise<bigint>,
  before: bigint,
  patience: number,
  pause: () => Promise<void>,
  { sure }: { readonly sure: boolean },
): Promise<boolean> {
  // What is declared not to happen is given a few pauses only.
  for (let pauses = 0; pauses <= (sure ? 3 : patience); pauses += 1) {
    if ((await seen()) > before) return true
    await pause()
  }
  return false
}
