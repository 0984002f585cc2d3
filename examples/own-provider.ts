/**
 * A provider of one's own, held against the conformance suite: `npx tsx examples/own-provider.ts`. The backend here is an array in memory that grows its volumes at
 * once; a real one answers over its API, and everything else stays the same. Waiting, batching, retries, locks and dry runs are the library's.
 */
import { type ProviderSetup, providerCases } from '../src/conformance/index.ts'
import { bytes, type VolumeExpander, VolumeExpansionError } from '../src/index.ts'

const GiB = 2n ** 30n
/** GiB of each volume of the array, by its number. */
const array = new Map<number, bigint>()

const failure = (code: 'invalid-reference' | 'not-found' | 'aborted', message: string, cause?: unknown) =>
  new VolumeExpansionError(code, message, {
    ...{ layer: 'volume', provider: 'shelf', outcome: 'unchanged', cause },
    remedy: 'See which volumes the array has.',
  })

function numberOf(ref: unknown): number {
  const number = typeof ref === 'string' ? Number(/^lun-(\d{1,9})$/.exec(ref)?.[1]) : ref
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw failure('invalid-reference', 'A volume is a number, or written such as lun-7.')
}

function gibibytes(number: number): bigint {
  const size = array.get(number)
  if (size === undefined) throw failure('not-found', `There is no lun-${number}.`)
  return size
}

const shelf: VolumeExpander<number | string> = {
  name: 'shelf',
  capabilities: { granularity: bytes(GiB), readBatch: 50, progress: false, hostsSeeGrowth: false },
  normalize: (ref) => ({ scope: 'shelf', key: `${numberOf(ref)}`, label: `lun-${numberOf(ref)}` }),
  async read(refs, { signal }) {
    if (signal?.aborted) throw failure('aborted', 'The run was aborted.', signal.reason)
    return refs.map((ref) => {
      try {
        const number = numberOf(ref)
        return { key: `${number}`, size: bytes(gibibytes(number) * GiB), phase: 'stable', native: 'online' }
      } catch (error) {
        return error as Error
      }
    })
  },
  async expand(ref, { size, signal }) {
    if (signal?.aborted) throw failure('aborted', 'The run was aborted.', signal.reason)
    const number = numberOf(ref)
    // Never smaller, whatever somebody else has made of it meanwhile.
    if (gibibytes(number) * GiB < size) array.set(number, (size + GiB - 1n) / GiB)
  },
  identify: (ref) => ({ serial: `SHELF${numberOf(ref)}` }),
}

/** What the suite needs: volumes, and ways to them that do not go through the provider. */
const setup: ProviderSetup<number | string> = {
  expander: shelf,
  async volume() {
    const number = array.size
    array.set(number, 4n)
    return {
      ref: number,
      spellings: [`lun-${number}`, `lun-0${number}`],
      measure: async () => gibibytes(number) * GiB,
      grow: async (size) => void array.set(number, size / GiB),
    }
  },
  missing: 999_999,
  malformed: ['', 'lun-', 'lun-x', -1, 0.5, null, {}],
  pause: async () => {},
}

let failed = 0
for (const { name, skip, run } of providerCases(setup)) {
  const problem = skip === undefined ? await run().catch((error: unknown) => `${error}`) : undefined
  if (typeof problem === 'string') failed += 1
  console.log(
    skip !== undefined
      ? `left out  ${name}: ${skip}`
      : `${problem === undefined ? 'ok      ' : 'FAILED  '}  ${name}${problem ?? ''}`,
  )
}
console.log(failed === 0 ? 'The provider passes.' : `${failed} cases failed.`)
process.exitCode = failed === 0 ? 0 : 1
