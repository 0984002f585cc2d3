import { providerCases } from '../../../src/conformance/index.ts'
import { abortedError, VolumeExpansionError } from '../../../src/errors.ts'
import type { ReadOutcome, Snapshots, VolumeExpander, VolumeState } from '../../../src/expander.ts'
import { type Bytes, bytes, MiB } from '../../../src/size.ts'
import {
  failure,
  identityOf,
  lostAnswer,
  Memory,
  type MemoryRef,
  memoryExpander,
  memorySetup,
  password,
} from '../memory.ts'
import type { Suite } from './mutant.ts'

type Provider = VolumeExpander<MemoryRef>

interface BrokenProvider {
  readonly does: string
  readonly killedBy: readonly string[]
  /** The part of the good one that is replaced. */
  readonly make: (good: Provider, memory: Memory) => Partial<Provider>
}

const isState = (outcome: ReadOutcome): outcome is VolumeState => !(outcome instanceof Error)

/** A provider whose states are changed before anyone sees them. */
const shows =
  (change: (state: VolumeState, memory: Memory) => VolumeState | Error) =>
  (good: Provider, memory: Memory): Partial<Provider> => ({
    read: async (refs, options) =>
      (await good.read(refs, options)).map((outcome) => (isState(outcome) ? change(outcome, memory) : outcome)),
  })

/** A provider whose failures to grow are changed before anyone sees them. */
const fails =
  (change: (error: VolumeExpansionError) => Error) =>
  (good: Provider): Partial<Provider> => ({
    expand: (ref, options) =>
      good.expand(ref, options).catch((error) => {
        throw change(error)
      }),
  })

/** The error with something on it that its type does not show. */
const having = (error: VolumeExpansionError, own: object): VolumeExpansionError => Object.assign(error.with({}), own)

/** A provider whose snapshots are broken in one way. */
const snaps =
  (change: (good: Snapshots<MemoryRef>, memory: Memory) => Partial<Snapshots<MemoryRef>>) =>
  ({ snapshots }: Provider, memory: Memory): Partial<Provider> =>
    snapshots === undefined ? {} : { snapshots: { ...snapshots, ...change(snapshots, memory) } }

const broken: readonly BrokenProvider[] = [
  {
    does: 'declares half a ref as its batch',
    killedBy: ['capabilities: declared in full'],
    make: ({ capabilities }) => ({ capabilities: { ...capabilities, readBatch: 0.5 } }),
  },
  {
    does: 'names a ref anew every time',
    killedBy: ['normalize: the same every time', 'read: the key that normalize gives'],
    make: (good) => {
      let calls = 0
      return {
        normalize: (ref) => {
          calls += 1
          return { ...good.normalize(ref), key: `${good.normalize(ref).key}#${calls}` }
        },
      }
    },
  },
  {
    does: 'takes the ref as it is written for the key',
    killedBy: ['normalize: every spelling has one key'],
    make: (good) => ({ normalize: (ref) => ({ ...good.normalize(ref), key: JSON.stringify(ref) }) }),
  },
  {
    does: 'has one key for a whole pool',
    killedBy: ['normalize: two volumes have two keys'],
    make: (good) => ({
      normalize: (ref) => ({ ...good.normalize(ref), key: good.normalize(ref).key.split('/')[0] ?? '' }),
    }),
  },
  {
    does: 'takes any ref',
    killedBy: ['normalize: refuses what is malformed'],
    make: () => ({ normalize: (ref) => ({ scope: 'memory', key: `${ref}`, label: `${ref}` }) }),
  },
  {
    does: 'throws a plain Error for a malformed ref',
    killedBy: ['normalize: refuses what is malformed'],
    make: (good) => ({
      normalize: (ref) => {
        try {
          return good.normalize(ref)
        } catch {
          throw new Error('malformed')
        }
      },
    }),
  },
  {
    does: 'invents a phase',
    killedBy: ['read: a state that can be relied on'],
    make: shows((state) => ({ ...state, phase: 'ready' as 'stable' })),
  },
  {
    does: 'gives a limit without a source',
    killedBy: ['read: a state that can be relied on'],
    make: shows((state) => ({ ...state, limits: [{ what: 'size', most: bytes(2n ** 40n), source: '' }] })),
  },
  {
    does: 'gives a key of its own in states',
    killedBy: ['read: the key that normalize gives'],
    make: shows((state) => ({ ...state, key: state.key.toUpperCase() })),
  },
  {
    does: 'shows less than there is',
    killedBy: ['read: the size that is there'],
    make: shows((state) => ({ ...state, size: (state.size - MiB) as Bytes })),
  },
  {
    does: 'remembers states',
    killedBy: ['read: sees what another tool has done'],
    make: (good) => {
      const remembered = new Map<string, ReadOutcome>()
      return {
        read: async (refs, options) => {
          const outcomes = await good.read(refs, options)
          return refs.map((ref, index) => {
            const { key } = identityOf(ref)
            const outcome = remembered.get(key) ?? outcomes[index] ?? new Error('no entry')
            remembered.set(key, outcome)
            return outcome
          })
        },
      }
    },
  },
  {
    does: 'answers in the order of the backend',
    killedBy: ['read: one entry for each ref, in their order'],
    make: (good) => ({
      read: async (refs, options) =>
        [...(await good.read(refs, options))].sort((one, other) =>
          isState(one) && isState(other) ? (one.key < other.key ? -1 : 1) : 0,
        ),
    }),
  },
  {
    does: 'answers a repeated ref once',
    killedBy: ['read: a repeated ref is answered each time'],
    make: (good) => ({ read: (refs, options) => good.read([...new Set(refs)], options) }),
  },
  {
    does: 'fails a whole batch for one missing volume',
    killedBy: ['read: a missing volume is its own entry'],
    make: (good) => ({
      read: async (refs, options) => {
        const outcomes = await good.read(refs, options)
        const failed = outcomes.find((outcome) => !isState(outcome))
        if (failed !== undefined) throw failed
        return outcomes
      },
    }),
  },
  {
    does: 'leaves missing volumes out',
    killedBy: ['read: a missing volume is its own entry'],
    make: (good) => ({ read: async (refs, options) => (await good.read(refs, options)).filter(isState) }),
  },
  {
    does: 'shows an unknown volume as an empty one',
    killedBy: ['read: a missing volume is its own entry', 'expand: a missing volume stays missing'],
    make: (good) => ({
      read: async (refs, options) =>
        (await good.read(refs, options)).map((outcome, index) =>
          isState(outcome)
            ? outcome
            : { key: identityOf(refs[index] ?? '').key, size: bytes(0), phase: 'stable', native: 'unknown' },
        ),
    }),
  },
  {
    does: 'needs a ref to read',
    killedBy: ['read: nothing for no refs'],
    make: (good) => ({
      read: async (refs, options) => {
        if (refs.length === 0) throw failure('invalid-reference', 'There is no ref.')
        return good.read(refs, options)
      },
    }),
  },
  {
    does: 'reads one short of a full batch',
    killedBy: ['read: as many refs as declared'],
    make: (good) => ({ read: (refs, options) => good.read(refs.slice(0, 6), options) }),
  },
  {
    does: 'grows what it reads',
    killedBy: ['read: changes nothing'],
    make: (good, memory) => ({
      read: async (refs, options) => {
        const outcomes = await good.read(refs, options)
        for (const outcome of outcomes) if (isState(outcome)) memory.kept(outcome.key).size += MiB
        return outcomes
      },
    }),
  },
  {
    does: 'reads in spite of an aborted signal',
    killedBy: ['read: refuses an aborted signal'],
    make: (good) => ({ read: (refs) => good.read(refs, {}) }),
  },
  {
    does: "throws the signal's reason itself",
    killedBy: ['read: refuses an aborted signal'],
    make: (good) => ({
      read: async (refs, { signal }) => {
        signal?.throwIfAborted()
        return good.read(refs, {})
      },
    }),
  },
  {
    does: 'ends every read with the first abort',
    killedBy: ["read: one caller's abort is not another's"],
    make: (good) => {
      const shared = new AbortController()
      return {
        read: async (refs, { signal }) => {
          signal?.addEventListener('abort', () => shared.abort(signal.reason))
          await new Promise(setImmediate)
          if (shared.signal.aborted) throw abortedError(shared.signal, 'volume', 'unchanged')
          return good.read(refs, signal === undefined ? {} : { signal })
        },
      }
    },
  },
  {
    does: 'says yes and grows nothing',
    killedBy: ['expand: reaches the size'],
    make: () => ({ expand: async () => {} }),
  },
  {
    does: 'rounds up by one unit too many',
    killedBy: ['expand: reaches the size'],
    make: (good) => ({
      expand: (ref, options) => good.expand(ref, { ...options, size: (options.size + MiB) as Bytes }),
    }),
  },
  {
    does: 'shows the new size before it is there',
    killedBy: ['expand: is never done before it is done'],
    make: shows(({ key, size, growingTo }) => ({ key, size: growingTo ?? size, phase: 'stable', native: 'in-use' })),
  },
  {
    does: 'says that it is on the way to less than it accepted',
    killedBy: ['expand: is never done before it is done'],
    make: shows((state) => (state.growingTo === undefined ? state : { ...state, growingTo: state.size })),
  },
  {
    does: 'declares a progress and shows none',
    killedBy: ['expand: a declared progress is shown, an undeclared one is not'],
    make: shows(({ progress: _, ...state }) => state),
  },
  {
    does: 'shows a progress that it did not declare',
    killedBy: ['expand: a declared progress is shown, an undeclared one is not'],
    make: ({ capabilities }) => ({ capabilities: { ...capabilities, progress: false } }),
  },
  {
    does: 'counts its progress in percent',
    killedBy: ['expand: a declared progress is shown, an undeclared one is not'],
    make: shows((state) => (state.progress === undefined ? state : { ...state, progress: 100 * state.progress })),
  },
  {
    does: 'adds what is missing each time it is asked',
    killedBy: ['expand: repeated, it grows once'],
    make: (good, memory) => ({
      expand: async (ref, { size, signal }) => {
        if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
        const kept = memory.kept(identityOf(ref).key)
        if (size <= kept.size) return
        kept.target = (kept.target ?? kept.size) + (size - kept.size)
        kept.left = memory.duration
        await good.read([ref], {})
      },
    }),
  },
  {
    does: 'fails when there is nothing to do',
    killedBy: ['expand: to the size that is there'],
    make: (good, memory) => ({
      expand: async (ref, options) => {
        if (memory.kept(identityOf(ref).key).size === options.size)
          throw new Error('new size is equal to original size')
        return good.expand(ref, options)
      },
    }),
  },
  {
    does: 'shrinks',
    killedBy: ['expand: never shrinks', 'expand: never shrinks what another tool has grown'],
    make: (good, memory) => ({
      expand: async (ref, options) => {
        await good.expand(ref, options)
        const kept = memory.kept(identityOf(ref).key)
        if (options.size < kept.size) kept.size = options.size
      },
    }),
  },
  {
    does: 'judges by the size that it has read before',
    killedBy: ['expand: never shrinks what another tool has grown'],
    make: (good, memory) => {
      const known = new Map<string, bigint>()
      return {
        read: async (refs, options) => {
          const outcomes = await good.read(refs, options)
          for (const outcome of outcomes) if (isState(outcome)) known.set(outcome.key, outcome.size)
          return outcomes
        },
        expand: async (ref, options) => {
          const { key } = identityOf(ref)
          if (!known.has(key)) return good.expand(ref, options)
          if (options.signal?.aborted) throw abortedError(options.signal, 'volume', 'unchanged')
          if (options.size > (known.get(key) ?? 0n)) memory.kept(key).size = options.size
        },
      }
    },
  },
  {
    does: 'lets the last of several growths win',
    killedBy: ['expand: at once with others, the largest wins'],
    make: (_good, memory) => ({
      expand: async (ref, options) => {
        if (options.signal?.aborted) throw abortedError(options.signal, 'volume', 'unchanged')
        const kept = memory.kept(identityOf(ref).key)
        if (options.size <= kept.size) return
        await Promise.resolve()
        kept.target = options.size
        kept.left = memory.duration
      },
    }),
  },
  {
    does: 'grows the first volume of the batch that it read last',
    killedBy: ['expand: grows no other volume'],
    make: (good) => {
      let first: MemoryRef | undefined
      return {
        read: (refs, options) => {
          if (refs.length > 1) first = refs[0]
          return good.read(refs, options)
        },
        expand: async (ref, options) => {
          await good.expand(ref, options)
          if (first !== undefined) await good.expand(first, options)
        },
      }
    },
  },
  {
    does: 'grows in spite of an aborted signal',
    killedBy: ['expand: refuses an aborted signal'],
    make: (good) => ({ expand: (ref, { signal: _, ...options }) => good.expand(ref, options) }),
  },
  {
    does: 'grows, and then says that it was aborted before',
    killedBy: ['expand: refuses an aborted signal', 'expand: an abort under way tells the truth'],
    make: (good) => ({
      expand: async (ref, { signal, ...options }) => {
        await good.expand(ref, options)
        await new Promise(setImmediate)
        if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      },
    }),
  },
  {
    does: 'makes a volume that is missing',
    killedBy: ['expand: a missing volume stays missing'],
    make: (good, memory) => ({
      expand: async (ref, options) => {
        const { key } = identityOf(ref)
        if (!memory.volumes.has(key)) memory.volumes.set(key, { size: 1n, target: undefined, left: 0, number: 0 })
        return good.expand(ref, options)
      },
    }),
  },
  {
    does: 'swallows the error of a missing volume',
    killedBy: ['expand: a missing volume stays missing'],
    make: (good) => ({ expand: (ref, options) => good.expand(ref, options).catch(() => {}) }),
  },
  {
    does: 'does not know what a refusal left behind',
    killedBy: ['expand: a missing volume stays missing', 'expand: refuses what is malformed'],
    make: (good) => ({
      expand: (ref, options) =>
        good.expand(ref, options).catch((error) => {
          throw error.with({ outcome: 'unknown' })
        }),
    }),
  },
  {
    does: 'throws before it returns a promise',
    killedBy: ['expand: refuses what is malformed'],
    make: (good) => ({
      expand: (ref, options) => {
        identityOf(ref)
        return good.expand(ref, options)
      },
    }),
  },
  {
    does: 'does not say which provider failed',
    killedBy: ['errors: JSON-safe, with codes and the provider'],
    make: (good) => ({
      expand: (ref, options) =>
        good.expand(ref, options).catch((error) => {
          throw error.with({ provider: 'another' })
        }),
    }),
  },
  {
    does: 'gives no hint',
    killedBy: ['identify: hints that a host can use'],
    make: () => ({ identify: () => ({}) }),
  },
  {
    does: 'gives two volumes one serial',
    killedBy: ['identify: hints that a host can use'],
    make: () => ({ identify: () => ({ serial: 'volume' }) }),
  },
  {
    does: 'makes the serial of the size',
    killedBy: ['identify: the same before and after'],
    make: () => ({ identify: (_ref, { key, size }) => ({ serial: `${key}-${size}` }) }),
  },
  {
    does: 'declares that hosts see the growth, and they do not',
    killedBy: ['hosts: see the new size by themselves if that is declared'],
    make: ({ capabilities }) => ({ capabilities: { ...capabilities, hostsSeeGrowth: true } }),
  },
  {
    does: 'does not declare that hosts see the growth, and they do',
    killedBy: ['hosts: see the new size by themselves if that is declared'],
    make: (good, memory) => ({
      expand: async (ref, options) => {
        await good.expand(ref, options)
        memory.seen.set(identityOf(ref).key, options.size)
      },
    }),
  },
  {
    does: 'has a part without a host',
    killedBy: ['parts: requests that name a host'],
    make: () => ({ parts: async () => [{ label: 'brick', host: undefined as unknown as object, path: '/brick' }] }),
  },
  {
    does: 'takes every PersistentVolume for its own',
    killedBy: ['persistent volumes: its own, and no others'],
    make: () => ({ fromPersistentVolume: () => 'fast/volume-1' }),
  },
  {
    does: 'stumbles over a PersistentVolume of another kind',
    killedBy: ['persistent volumes: its own, and no others'],
    make: () => ({
      fromPersistentVolume: (persistentVolume) => {
        const { spec } = persistentVolume as { spec: { csi: { driver: string; volumeHandle: string } } }
        return spec.csi.driver === 'memory.example.com' ? spec.csi.volumeHandle : undefined
      },
    }),
  },
  {
    does: 'follows growths in times that are none',
    killedBy: ['capabilities: declared in full'],
    make: ({ capabilities }) => ({
      capabilities: { ...capabilities, poll: { first: Number.NaN, cap: 5000, window: 2000 } },
    }),
  },
  {
    does: 'declares itself a mount, and gives hints of a device',
    killedBy: ['identify: hints that a host can use'],
    make: ({ capabilities }) => ({ capabilities: { ...capabilities, seenAs: 'mount' } }),
  },
  {
    does: 'gives hints of a mount without declaring that it is one',
    killedBy: ['identify: hints that a host can use'],
    make: () => ({ identify: (_ref, { key }) => ({ mount: { type: 'nfs4', export: `/${key}` } }) }),
  },
  {
    does: 'takes a size that it cannot see for 0',
    killedBy: ['read: a state that can be relied on', 'read: the size that is there'],
    make: shows((state) => ({ ...state, size: bytes(0) })),
  },
  {
    does: 'shows what it was asked for as the size',
    killedBy: ['expand: is never done before it is done', 'expand: reaches the size'],
    make: shows((state) => ({ ...state, size: state.growingTo ?? state.size })),
  },
  {
    does: 'is done as soon as the backend has accepted',
    killedBy: ['expand: reaches the size', 'expand: is never done before it is done'],
    make: (good) => {
      const asked = new Map<string, Bytes>()
      return {
        expand: async (ref, options) => {
          await good.expand(ref, options)
          asked.set(identityOf(ref).key, options.size)
        },
        read: async (refs, options) =>
          (await good.read(refs, options)).map((outcome) => {
            const size = isState(outcome) ? asked.get(outcome.key) : undefined
            if (!isState(outcome) || size === undefined) return outcome
            return { key: outcome.key, size, phase: 'stable', native: 'available' }
          }),
      }
    },
  },
  {
    does: 'counts in GiB and rounds down',
    killedBy: ['expand: reaches the size'],
    make: (good) => ({
      expand: (ref, options) => good.expand(ref, { ...options, size: bytes((options.size / (4n * MiB)) * 4n * MiB) }),
    }),
  },
  {
    does: 'believes a backend that says that it is done and is not',
    killedBy: ['expand: reaches the size'],
    make: (good, memory) => ({
      expand: async (ref, options) => {
        await good.expand(ref, options)
        const kept = memory.kept(identityOf(ref).key)
        kept.target = undefined
      },
    }),
  },
  {
    does: 'says of a lost answer that nothing was changed',
    killedBy: ['expand: a lost answer is no failure'],
    make: fails((error) => (error.code === 'backend-unreachable' ? error.with({ outcome: 'unchanged' }) : error)),
  },
  {
    does: 'takes a lost answer for the end',
    killedBy: ['expand: a lost answer is no failure'],
    make: fails((error) => (error.code === 'backend-unreachable' ? error.with({ retryable: false }) : error)),
  },
  {
    does: 'grows once more when it is asked again after a lost answer',
    killedBy: ['expand: a lost answer is no failure'],
    make: (good, memory) => {
      const lost = new Set<string>()
      return {
        expand: async (ref, options) => {
          const { key } = identityOf(ref)
          const size = lost.delete(key) ? ((options.size + 2n * MiB) as Bytes) : options.size
          try {
            await good.expand(ref, { ...options, size })
          } catch (error) {
            if (memory.volumes.has(key) && options.signal?.aborted !== true) lost.add(key)
            throw error
          }
        },
      }
    },
  },
  {
    does: 'never asks again what it has asked before',
    killedBy: ['expand: a lost answer is no failure'],
    make: (good, memory) => {
      const begun = new Set<string>()
      return {
        expand: async (ref, options) => {
          const { key } = identityOf(ref)
          if (memory.losing.delete(key)) {
            begun.add(key)
            throw lostAnswer()
          }
          if (!begun.has(key)) await good.expand(ref, options)
        },
      }
    },
  },
  {
    does: 'throws errors that JSON cannot show',
    killedBy: ['errors: JSON-safe, with codes and the provider'],
    make: fails((error) => having(error, { toJSON: () => ({ code: error.code, size: 1n }) })),
  },
  {
    does: 'invents a code of errors',
    killedBy: ['errors: JSON-safe, with codes and the provider', 'expand: a missing volume stays missing'],
    make: fails((error) => having(error, { code: 'bad-luck' })),
  },
  {
    does: 'says that something failed, and not what to do',
    killedBy: ['errors: JSON-safe, with codes and the provider'],
    make: fails(
      ({ code, message, outcome }) =>
        new VolumeExpansionError(code, message, { layer: 'volume', provider: 'memory', outcome }),
    ),
  },
  {
    does: 'throws the errors of its client',
    killedBy: ['errors: JSON-safe, with codes and the provider'],
    make: fails(({ message }) => new Error(message)),
  },
  {
    does: 'says the password in an error',
    killedBy: ['secrets: none of them shows'],
    make: fails(
      ({ code }) =>
        new VolumeExpansionError(code, `POST /login {"password":"${password}"}`, {
          ...{ layer: 'volume', provider: 'memory', outcome: 'unchanged', remedy: 'Log in.' },
        }),
    ),
  },
  {
    does: 'keeps the header of the request in the cause of an error',
    killedBy: ['secrets: none of them shows'],
    make: fails((error) => {
      const authorization = `Basic ${Buffer.from(`somebody:${password}`).toString('base64')}`
      return error.with({ cause: Object.assign(new Error('404'), { request: { headers: { authorization } } }) })
    }),
  },
  {
    does: 'has the password in its scope',
    killedBy: ['secrets: none of them shows'],
    make: (good) => ({
      normalize: (ref) => ({ ...good.normalize(ref), scope: `memory?password=${encodeURIComponent(password)}` }),
    }),
  },
  {
    does: 'keeps the password where it can be looked at',
    killedBy: ['secrets: none of them shows'],
    make: () => Object.defineProperty({}, 'credentials', { value: { password }, enumerable: true }),
  },
  {
    does: 'makes a snapshot for each try',
    killedBy: ['snapshots: asked for again, the same one'],
    make: snaps((good) => ({
      create: (ref, options) => good.create(ref, { ...options, requestId: crypto.randomUUID() }),
    })),
  },
  {
    does: 'makes one snapshot of a volume, and no other',
    killedBy: ['snapshots: two intentions are two snapshots'],
    make: snaps((good) => ({ create: (ref, options) => good.create(ref, { ...options, requestId: 'one' }) })),
  },
  {
    does: 'makes no snapshot, and gives an id',
    killedBy: ['snapshots: one that can be used'],
    make: snaps(() => ({ create: async () => 'snapshot-0' })),
  },
  {
    does: 'never sees a snapshot become usable',
    killedBy: ['snapshots: one that can be used'],
    make: snaps((good) => ({
      read: async (...given) => ({ ...(await good.read(...given)), phase: 'pending', native: 'creating' }),
    })),
  },
  {
    does: 'grows what it makes a snapshot of',
    killedBy: ['snapshots: one that can be used'],
    make: snaps((good, memory) => ({
      create: (ref, options) => {
        memory.kept(identityOf(ref).key).size += MiB
        return good.create(ref, options)
      },
    })),
  },
  {
    does: 'says of a missing snapshot that it can be used',
    killedBy: ['snapshots: a missing one, and one of a missing volume'],
    make: snaps((good) => ({
      read: (ref, id, options) =>
        good.read(ref, id, options).catch((error) => {
          if (error.code !== 'not-found') throw error
          return { id, phase: 'usable', native: 'available' }
        }),
    })),
  },
  {
    does: 'makes a snapshot in spite of an aborted signal',
    killedBy: ['snapshots: refuse an aborted signal'],
    make: snaps((good) => ({ create: (ref, { signal: _, ...options }) => good.create(ref, options) })),
  },
]

export const providers: Suite = {
  name: 'provider',
  isQuick: true,
  good: () => casesOf(() => ({})),
  mutants: broken.map(({ make, ...about }) => ({ ...about, cases: () => casesOf(make) })),
}

function casesOf(make: BrokenProvider['make']): ReturnType<typeof providerCases> {
  const memory = new Memory()
  const good = memoryExpander(memory)
  return providerCases(memorySetup({ ...good, ...make(good, memory) }, memory))
}
