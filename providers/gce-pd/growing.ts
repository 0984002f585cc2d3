import { createHash } from 'node:crypto'
import { VolumeExpansionError } from '../../src/errors.ts'
import { GiB } from '../../src/size.ts'
import type { PlaceApi } from './api.ts'
import { missingDisk, operationError, providerName, refuseAborted } from './errors.ts'
import type { ScopeMemory } from './memory.ts'
import type { NativeDisk, NativeOperation } from './native.ts'
import { type GcePdOptions, iopsDemandedBy, type PerformanceChange, performanceFor } from './performance.ts'
import { type DiskName, keyOf, whatIs } from './refs.ts'

interface Growing {
  readonly api: PlaceApi
  readonly memory: ScopeMemory
  readonly signal: AbortSignal | undefined
  readonly requestId: string
}

/**
 * Asks for the size. In the usual case that is one request: the disk was read before, and the service itself refuses to make a disk smaller. Only when it refuses, or
 * when nothing is known of the disk, the disk is read here.
 */
export async function grow(
  name: DiskName,
  size: bigint,
  options: GcePdOptions | undefined,
  growing: Growing,
): Promise<void> {
  const { memory, signal } = growing
  const sizeGb = (size + GiB - 1n) / GiB
  const key = keyOf(name)
  const own = memory.begun.get(key)
  // Accepted already, and its end was not seen yet.
  if (own !== undefined && own.sizeGb >= sizeGb) return
  const known = memory.disks.get(key)
  const disk = known !== undefined && known.sizeGb < sizeGb ? known : await read(name, growing)
  if (disk.sizeGb >= sizeGb) return
  refuseAborted(signal)
  try {
    await begin(name, disk, sizeGb, performanceFor(disk, sizeGb, options), growing)
  } catch (thrown) {
    if (!(thrown instanceof VolumeExpansionError)) throw thrown
    if (thrown.code === 'conflicting-change') throw await afterOther(name, thrown, growing)
    if (thrown.code !== 'invalid-request') throw thrown
    const now = await read(name, growing)
    // Another tool has made it as large meanwhile.
    if (now.sizeGb >= sizeGb) return
    const iops = iopsDemandedBy(thrown.message)
    const again =
      iops === undefined || options?.iops !== undefined ? performanceFor(now, sizeGb, options) : { ...options, iops }
    if (again === undefined || same(again, performanceFor(disk, sizeGb, options))) throw judged(thrown)
    await begin(name, now, sizeGb, again, growing)
  }
}

/** Milliseconds that one try waits for somebody else's change at the most. */
const longestWait = 20_000

/**
 * Another change is under way, perhaps one of ours whose answer was lost, and its size is nowhere to be read: it is waited for, and what is then still missing is asked
 * for by the next try.
 */
async function afterOther(
  name: DiskName,
  error: VolumeExpansionError,
  { api, signal }: Growing,
): Promise<VolumeExpansionError> {
  const change = (await api.running(signal)).get(keyOf(name))
  const ended = change === undefined ? undefined : await api.wait(change.name, longestWait, signal)
  return ended?.status === 'DONE' ? error.with({ retryAfter: 0 }) : error
}

/** A refusal of the size for its type's sake has a code of its own. */
function judged(error: VolumeExpansionError): VolumeExpansionError {
  if (!/larger than the maximum|cannot be larger/.test(error.message)) return error
  const { layer, outcome, cause } = error
  return new VolumeExpansionError('limit-exceeded', error.message, {
    ...{ layer, outcome, cause, provider: providerName },
    remedy: 'Ask for less: the limit is that of the disk type.',
  })
}

async function read(name: DiskName, { api, memory, signal }: Growing): Promise<NativeDisk> {
  const disk = (await api.disks([name.disk], signal)).get(name.disk)
  if (disk === undefined) throw missingDisk(whatIs(name))
  memory.disks.set(keyOf(name), disk)
  return disk
}

async function begin(
  name: DiskName,
  before: NativeDisk,
  sizeGb: bigint,
  performance: PerformanceChange | undefined,
  { api, memory, signal, requestId }: Growing,
): Promise<void> {
  // A change of the same request with other performance is another change, and needs an id of its own.
  const intent = `${requestId}${performance === undefined ? '' : JSON.stringify(performance)}`
  const spent = memory.spent.get(intent) ?? 0
  const id = intent === requestId && spent === 0 ? requestId : derivedId(`${intent}:${spent}`)
  const operation = await api.grow(name.disk, sizeGb, performance, id, signal)
  if (operation === undefined) throw noOperation(name)
  if (operation.target !== keyOf(name)) throw elsewhere(name, operation)
  if (operation.error !== undefined) {
    memory.spent.set(intent, spent + 1)
    throw failed(name, operation.error)
  }
  memory.begun.set(keyOf(name), { operation: operation.name, sizeGb, before })
}

function failed(name: DiskName, { code, message }: NonNullable<NativeOperation['error']>): VolumeExpansionError {
  return operationError(code, message, { what: whatIs(name), mutates: true, permission: 'compute.disks.resize' })
}

function same(one: PerformanceChange, other: PerformanceChange | undefined): boolean {
  return one.iops === other?.iops && one.throughput === other?.throughput
}

/** A UUID that is the same for the same text: a repeated try stays recognisable to the service. */
function derivedId(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

function noOperation(name: DiskName): VolumeExpansionError {
  return new VolumeExpansionError(
    'backend-unreachable',
    `The answer to the growth of ${whatIs(name)} was no operation.`,
    {
      ...{ layer: 'volume', provider: providerName, outcome: 'unknown', retryable: true },
      remedy: 'See what stands between here and Compute Engine, and run it again: it observes first.',
    },
  )
}

/** Two requests with one id: the service answered with what the other one had begun. */
function elsewhere(name: DiskName, { target }: NativeOperation): VolumeExpansionError {
  return new VolumeExpansionError(
    'conflicting-change',
    `The growth of ${whatIs(name)} was taken for an earlier request, which changes ${target}.`,
    {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
      remedy: 'Run it again, which makes a request with an id of its own.',
    },
  )
}
