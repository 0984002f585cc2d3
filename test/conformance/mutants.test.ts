import { describe, expect, test } from 'vitest'
import { ConformanceFailure, layerCases, providerCases } from '../../src/conformance/index.ts'
import { abortedError } from '../../src/errors.ts'
import type { ReadOutcome, VolumeExpander, VolumeState } from '../../src/expander.ts'
import { device } from '../../src/layers/device/index.ts'
import type { Growth, Layer, LayerState } from '../../src/layers/layer.ts'
import { type Bytes, bytes, MiB } from '../../src/size.ts'
import { layerSetup } from '../layers/device/snapshots.ts'
import { failure, identityOf, Memory, type MemoryRef, memoryExpander, memorySetup } from './memory.ts'

type Provider = VolumeExpander<MemoryRef>

interface Mutant {
  /** What it does wrong. */
  readonly does: string
  /** Cases that have to reject it, among others. */
  readonly killedBy: readonly string[]
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

const mutants: readonly Mutant[] = [
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
]

function casesOf(mutant?: Mutant): ReturnType<typeof providerCases> {
  const memory = new Memory()
  const good = memoryExpander(memory)
  return providerCases(memorySetup({ ...good, ...mutant?.make(good, memory) }, memory))
}

async function failuresOf(cases: ReturnType<typeof providerCases>): Promise<ReadonlyMap<string, unknown>> {
  const failures = new Map<string, unknown>()
  for (const { name, run } of cases) await run().catch((error: unknown) => void failures.set(name, error))
  return failures
}

describe('the provider suite', () => {
  test('passes a correct provider', async () => {
    expect(await failuresOf(casesOf())).toEqual(new Map())
  })

  test('leaves out only what the provider does not have', () => {
    expect(casesOf().filter(({ skip }) => skip !== undefined)).toEqual([])
    const memory = new Memory()
    const { parts: _parts, fromPersistentVolume: _from, ...small } = memoryExpander(memory)
    const { attached: _attached, ...setup } = memorySetup(small, memory)
    const skipped = providerCases(setup).filter(({ skip }) => skip !== undefined)
    expect(skipped.map(({ name }) => name)).toEqual([
      'hosts: see the new size by themselves if that is declared',
      'parts: requests that name a host',
      'persistent volumes: its own, and no others',
    ])
  })

  test('has no case that no mutant needs', () => {
    const killers = new Set(mutants.flatMap(({ killedBy }) => killedBy))
    expect(
      casesOf()
        .map(({ name }) => name)
        .filter((name) => !killers.has(name)),
    ).toEqual([])
  })

  test.each(mutants)('rejects a provider that $does', async (mutant) => {
    const failures = await failuresOf(casesOf(mutant))
    expect([...failures.keys()]).toEqual(expect.arrayContaining([...mutant.killedBy]))
    // Rejected for what it does, and not because the suite itself stumbled.
    for (const name of mutant.killedBy) expect(failures.get(name)).not.toBeInstanceOf(TypeError)
  })
})

interface LayerMutant {
  readonly does: string
  readonly killedBy: string
  readonly make: () => Partial<Layer>
}

const states =
  (change: (state: LayerState) => LayerState): (() => Partial<Layer>) =>
  () => ({ measure: (candidate, snapshot) => change(device.measure(candidate, snapshot)) })

const growths =
  (change: (growth: Growth, size: Bytes) => Growth): (() => Partial<Layer>) =>
  () => ({
    grow: (candidate, snapshot, context) => change(device.grow(candidate, snapshot, context), candidate.size),
  })

const layerMutants: readonly LayerMutant[] = [
  { does: 'detects everything', killedBy: 'detect: nothing else', make: () => ({ detect: () => true }) },
  { does: 'detects nothing', killedBy: 'detect: its own', make: () => ({ detect: () => false }) },
  {
    does: 'measures another kind',
    killedBy: 'measure: a state that can be relied on',
    make: states((state) => ({ ...state, kind: 'lvm' })),
  },
  {
    does: 'has no marks',
    killedBy: 'measure: a state that can be relied on',
    make: states((state) => ({ ...state, identity: {} })),
  },
  {
    does: 'measures by the clock',
    killedBy: 'measure: the same every time',
    make: () => {
      let calls = 0
      return {
        measure: (candidate, snapshot) => {
          calls += 1
          return { ...device.measure(candidate, snapshot), facts: { calls } }
        },
      }
    },
  },
  {
    does: 'gives every device one id',
    killedBy: 'measure: ids are unique',
    make: states((state) => ({ ...state, id: 'device' })),
  },
  {
    does: 'always finds something to do',
    killedBy: 'grow: nothing to do when it is full',
    make: growths((growth) => ({ ...growth, settles: true })),
  },
  {
    does: 'never grows',
    killedBy: 'grow: becomes larger',
    make: growths((growth, size) => ({ ...growth, after: size, commands: [] })),
  },
  {
    does: 'hopes for more than there is',
    killedBy: 'grow: becomes larger',
    make: growths((growth, size) =>
      growth.after > size ? { ...growth, after: (growth.after * 2n) as Bytes } : growth,
    ),
  },
  {
    does: 'becomes less when there is a lot of room',
    killedBy: 'grow: never less with more room',
    make: growths((growth, size) => ({ ...growth, after: growth.after > size + 100n * MiB ? size : growth.after })),
  },
  {
    does: 'shrinks to what is below it',
    killedBy: 'grow: never below what it is',
    make: () => ({
      grow: (candidate, snapshot, context) => ({
        ...device.grow(candidate, snapshot, context),
        after: context.available,
        findings: [],
      }),
    }),
  },
  {
    does: 'changes the snapshot',
    killedBy: 'grow: the same every time',
    make: () => ({
      grow: (candidate, snapshot, context) => {
        const growth = device.grow(candidate, snapshot, context)
        Object.assign(candidate, { size: growth.after })
        return growth
      },
    }),
  },
  {
    does: 'invents a code',
    killedBy: 'grow: findings that can be shown',
    make: growths((growth) => ({
      ...growth,
      findings: [{ code: 'bad-luck' as 'in-use', severity: 'note', layer: 'device', message: 'It is so.' }],
    })),
  },
  {
    does: 'writes a shell line',
    killedBy: 'grow: commands as argument vectors',
    make: growths((growth) => ({
      ...growth,
      commands: growth.commands.map(({ exec }) => ({ exec: [exec.join(' ')] })),
    })),
  },
  {
    does: 'does not say which tools it needs',
    killedBy: 'grow: commands as argument vectors',
    make: growths((growth) => ({ ...growth, tools: [] })),
  },
  {
    does: 'expects nothing before a command',
    killedBy: 'grow: expects the same device before a command',
    make: growths((growth) => ({ ...growth, expect: [] })),
  },
]

describe('the layer suite', () => {
  test('has no case that no mutant needs', () => {
    const killers = layerMutants.map(({ killedBy }) => killedBy)
    const names = layerCases(layerSetup()).map(({ name }) => name.replace(/ \(.*\)$/, ''))
    expect([...new Set(names)].filter((name) => !killers.includes(name))).toEqual([])
  })

  test.each(layerMutants)('rejects a layer that $does', async ({ make, killedBy }) => {
    const failures = await failuresOf(layerCases({ ...layerSetup(), layer: { ...device, ...make() } }))
    const killers = [...failures].filter(([name]) => name.replace(/ \(.*\)$/, '') === killedBy)
    expect(killers).not.toEqual([])
    for (const [, error] of killers) expect(error).toBeInstanceOf(ConformanceFailure)
  })
})
