import { VolumeExpansionError } from '../../../src/errors.ts'
import { type VolumeExpander, volumeOf } from '../../../src/expander.ts'
import { bytes, GiB } from '../../../src/size.ts'
import { scriptedProvider } from '../../../src/testing/index.ts'
import { callFaults } from '../fault.ts'
import type { Exchange, Wire } from '../wire.ts'
import type { Subject } from '../world.ts'

let scopes = 0

/** The provider of the test kit, with faults in what it answers to the core: the core alone is under attack. */
export const scripted: Subject = {
  name: 'scripted',
  kinds: callFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: true, shared: true, rest: 60_000 },
  make(wire, { world: clock }) {
    const provider = scriptedProvider({ clock, volumes: { v: { size: '10Gi', growthTime: 2000 } } })
    const state = (): bigint => provider.state('v').size
    return {
      size: state,
      accepted: () => provider.mutations.length,
      get growths() {
        return provider.mutations.map(({ size }) => size)
      },
      volume(process) {
        scopes += 1
        return volumeOf(faulty(provider, wire, `${process}-${scopes}`), 'v')
      },
      grow(to) {
        // Another size would make it forget a growth under way.
        const { phase, size } = provider.state('v')
        if (phase === 'stable' && to > size) provider.setVolume('v', { size: bytes(to), growthTime: 2000 })
      },
    }
  },
}

function faulty(
  { name, capabilities, normalize, read, expand, identify }: VolumeExpander<string>,
  wire: Wire,
  scope: string,
): VolumeExpander<string> {
  async function through<Answer>(
    operation: string,
    mutates: boolean,
    signal: AbortSignal | undefined,
    call: () => Promise<Answer>,
  ): Promise<Answer> {
    const exchange = wire.begin(operation, mutates)
    try {
      await wire.clock.sleep(15)
      const answer = await suffered(wire, exchange, signal, () => wire.serve(exchange, call))
      exchange.answer = 'answered'
      if (!mutates) wire.remember(operation, answer)
      return answer
    } catch (thrown) {
      exchange.answer = String(thrown)
      throw thrown
    }
  }
  return {
    ...{ name, capabilities, identify },
    normalize: (ref) => ({ ...normalize(ref), scope }),
    read: (refs, options) => through('read', false, options.signal, () => read(refs, {})),
    expand: (ref, { signal, ...options }) => through('expand', true, signal, () => expand(ref, options)),
  }
}

async function suffered<Answer>(
  wire: Wire,
  exchange: Exchange,
  signal: AbortSignal | undefined,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const { fault, operation, mutates } = exchange
  const earlier = wire.earlier<Answer>(operation)
  if (fault?.name === 'stale' && earlier !== undefined) return earlier
  if (fault === undefined || fault.name === 'stale') {
    exchange.fault = undefined
    return await ask()
  }
  if (fault.moment === 'after') await ask()
  const common = { layer: 'volume', provider: 'scripted', remedy: 'Run it again.' } as const
  switch (fault.name) {
    case 'throttled':
      throw new VolumeExpansionError('throttled', 'Slow down.', { ...common, outcome: 'unchanged', retryable: true })
    case 'throttled-long':
      throw new VolumeExpansionError('throttled', 'Slow down.', {
        ...{ ...common, outcome: 'unchanged', retryable: true, retryAfter: 120_000 },
      })
    case 'unreachable':
      throw new VolumeExpansionError('backend-unreachable', 'No answer.', {
        ...{ ...common, outcome: mutates ? 'unknown' : 'unchanged', retryable: true },
      })
    case 'denied':
      throw new VolumeExpansionError('permission-denied', 'No.', { ...common, outcome: 'unchanged' })
    case 'foreign':
      throw new RangeError('a bug of the provider')
    default:
      await wire.clock.sleep(3_600_000, signal)
      throw new VolumeExpansionError('timeout', 'Late.', {
        ...{ ...common, outcome: mutates ? 'unknown' : 'unchanged', retryable: true },
      })
  }
}
