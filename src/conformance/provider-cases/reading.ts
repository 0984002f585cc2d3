import { holds } from '../suite.ts'
import { type ProviderCase, refusal, refused, stateIn } from './probe.ts'
import { wellFormed } from './state.ts'

/** What `read` promises. */
export const readingCases: readonly ProviderCase[] = [
  {
    name: 'read: a state that can be relied on',
    run: async (probe) => {
      const { ref } = await probe.subject()
      wellFormed(await probe.state(ref))
    },
  },
  {
    name: 'read: the key that normalize gives',
    run: async (probe) => {
      const { ref, spellings = [] } = await probe.subject()
      for (const spelling of [ref, ...spellings]) {
        const { key } = probe.expander.normalize(spelling)
        const state = await probe.state(spelling)
        holds(state.key === key, `read gives the key ${state.key}, and normalize ${key}.`)
      }
    },
  },
  {
    name: 'read: the size that is there',
    run: async (probe) => {
      const { ref, before } = await probe.subject()
      const { size } = await probe.state(ref)
      holds(size === before, `read shows ${size} bytes, and the volume has ${before}.`)
    },
  },
  {
    name: 'read: sees what another tool has done',
    run: async (probe) => {
      const { ref, above, grow } = await probe.subject()
      await probe.state(ref)
      await grow(above(2))
      const { size } = await probe.state(ref)
      holds(size === above(2), `read shows ${size} bytes, and another tool has made it ${above(2)}.`)
    },
  },
  {
    name: 'read: one entry for each ref, in their order',
    run: async (probe) => {
      const volumes = [await probe.subject(), await probe.subject(), await probe.subject()]
      for (const [index, { grow, above }] of volumes.entries()) if (index > 0) await grow(above(index))
      for (const order of [volumes, volumes.toReversed()]) {
        const outcomes = await probe.read(order.map(({ ref }) => ref))
        for (const [index, volume] of order.entries()) {
          const { key, size } = stateIn(outcomes[index])
          const real = await volume.measure()
          const expected = probe.expander.normalize(volume.ref).key
          holds(key === expected, `Entry ${index} is about ${key}; the ref there is ${expected}.`)
          holds(size === real, `Entry ${index} says ${size} bytes, and its volume has ${real}.`)
        }
      }
    },
  },
  {
    name: 'read: a repeated ref is answered each time',
    run: async (probe) => {
      const [one, other] = [await probe.subject(), await probe.subject()]
      const refs = [one.ref, other.ref, one.ref]
      const outcomes = await probe.read(refs)
      for (const [index, ref] of refs.entries()) {
        const { key } = stateIn(outcomes[index])
        holds(key === probe.expander.normalize(ref).key, `Entry ${index} is about ${key}, which is not its ref.`)
      }
    },
  },
  {
    name: 'read: a missing volume is its own entry',
    run: async (probe) => {
      const [one, other] = [await probe.subject(), await probe.subject()]
      const outcomes = await probe.read([one.ref, probe.setup.missing, other.ref])
      for (const index of [0, 2]) stateIn(outcomes[index])
      refusal(outcomes[1], 'not-found', 'the entry of a missing volume')
    },
  },
  {
    name: 'read: nothing for no refs',
    run: async ({ expander }) => {
      const outcomes = await expander.read([], {})
      holds(Array.isArray(outcomes) && outcomes.length === 0, 'read answered no refs with entries.')
    },
  },
  {
    name: 'read: as many refs as declared',
    run: async (probe) => {
      const [one, other] = [await probe.subject(), await probe.subject()]
      const refs = Array.from(
        { length: probe.capabilities.readBatch },
        (_, index) => (index % 2 === 0 ? one : other).ref,
      )
      const outcomes = await probe.read(refs)
      for (const outcome of outcomes) stateIn(outcome)
    },
  },
  {
    name: 'read: changes nothing',
    run: async (probe) => {
      const volume = await probe.subject()
      for (let reads = 0; reads < 3; reads += 1) await probe.state(volume.ref)
      await probe.unchanged(volume, 'reading it')
    },
  },
  {
    name: 'read: refuses an aborted signal',
    run: async (probe) => {
      const { ref } = await probe.subject()
      const reason = new Error('no longer wanted')
      const error = await refused(
        probe.read([ref], AbortSignal.abort(reason)),
        'aborted',
        'reading with an aborted signal',
      )
      holds(error.cause === reason, "The cause is not the signal's reason.")
    },
  },
  {
    name: "read: one caller's abort is not another's",
    run: async (probe) => {
      const { ref } = await probe.subject()
      const abort = new AbortController()
      const [aborted, kept] = [probe.read([ref], abort.signal), probe.read([ref], new AbortController().signal)]
      abort.abort(new Error('no longer wanted'))
      const [first, second] = await Promise.allSettled([aborted, kept])
      if (first.status === 'rejected') refusal(first.reason, 'aborted', 'a read that was aborted')
      holds(second.status === 'fulfilled', 'A read failed because another one was aborted.')
      stateIn(second.value[0])
    },
  },
]
