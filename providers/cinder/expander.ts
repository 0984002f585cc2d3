import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type { Capabilities, ReadOutcome, VolumeExpander, VolumeIdentity, VolumeState } from '../../src/expander.ts'
import type { DeviceHints } from '../../src/hints.ts'
import { type Bytes, GiB, parseSize } from '../../src/size.ts'
import { type CinderApi, microversions } from './client.ts'
import { alreadyGrowing, failure, providerName } from './errors.ts'
import { type Fields, fieldsOf, textOf } from './json.ts'
import type { CinderRef } from './options.ts'
import { type Memory, readMessages, readVolumes } from './reading.ts'
import { snapshotsOf } from './snapshots.ts'
import { sizeOf, stateOf, statusOf } from './state.ts'

const capabilities: Capabilities = {
  granularity: GiB,
  readBatch: 1000,
  progress: false,
  // Nova tells QEMU, which tells the guest.
  hostsSeeGrowth: true,
}

/** The largest size that Cinder's API takes: a signed integer of 32 bits, in GiB. */
const largest = 2 ** 31 - 1

/** Characters of a serial that virtio-blk (VIRTIO_BLK_ID_BYTES), ATA and NVMe have room for. */
const shortSerial = 20

/** What one client of Cinder shares in a process. */
export interface Shared {
  readonly api: CinderApi
  readonly memory: Memory
  readonly scope: string
}

/** The provider of Cinder's volumes, over one client. */
export function cinderExpander({ api, memory, scope }: Shared): VolumeExpander<CinderRef> {
  return {
    name: providerName,
    capabilities,
    normalize: (ref) => identityOf(ref, scope),
    async read(refs, { signal }) {
      refuseAborted(signal)
      const parsed = refs.map(outcomeOf)
      const ids = [...new Set(parsed.flatMap((ref) => (ref instanceof VolumeExpansionError ? [] : [ref.id])))]
      if (ids.length === 0) return parsed.map((ref) => ref as VolumeExpansionError)
      const version = await api.version(signal)
      const found = await readVolumes(api, memory, ids, signal)
      const volumes = new Map([...found].filter((entry): entry is [string, Fields] => !(entry[1] instanceof Error)))
      const [messages, quotas] = await Promise.all([
        readMessages(api, memory, volumes, signal),
        readQuotas(api, memory, volumes, signal),
      ])
      const outcomes = parsed.map((ref): ReadOutcome => {
        if (ref instanceof VolumeExpansionError) return ref
        const volume = found.get(ref.id)
        if (volume === undefined || volume instanceof Error) return volume ?? vanished(ref.id)
        return stateOf(ref.id, volume, {
          ...{ version, overhead: ref.overhead, asked: memory.asked(ref.id), message: messages.get(ref.id) },
          quota: quotas.get(projectOf(volume) ?? ''),
        })
      })
      for (const outcome of outcomes) if (!(outcome instanceof Error)) forgetEnded(memory, outcome)
      return outcomes
    },
    async expand(ref, { size, signal }) {
      refuseAborted(signal)
      const { id } = parseRef(ref)
      const gibibytes = Number((parseSize(size) + GiB - 1n) / GiB)
      if (gibibytes > largest) throw tooLarge(id)
      // Whoever does not answer this was asked for nothing.
      await api.version(signal)
      try {
        const { at, requestId } = await api.extend(id, gibibytes, signal)
        memory.remember(id, { gibibytes, ...(at !== undefined && { at }), ...(requestId && { requestId }) })
      } catch (error) {
        if (!(error instanceof VolumeExpansionError)) throw error
        // It may have been accepted: the growth that is then seen under way is taken for this one.
        if (error.outcome === 'unknown') memory.remember(id, { gibibytes })
        if (!isRefusal(error)) throw error
        await judgeRefusal({ api, memory, scope }, id, gibibytes, error, signal)
      }
    },
    identify: (ref) => hintsOf(parseRef(ref).id),
    snapshots: snapshotsOf(api, (ref) => parseRef(ref).id),
    fromPersistentVolume,
  }
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
}

interface ParsedRef {
  readonly id: string
  readonly overhead?: Bytes
}

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

function parseRef(ref: unknown): ParsedRef {
  const { id, overhead } = typeof ref === 'string' ? { id: ref, overhead: undefined } : fieldsOf(ref)
  if (typeof id !== 'string' || !uuid.test(id)) {
    const shown = typeof id === 'string' ? JSON.stringify(id.slice(0, 200)) : `A value of the type ${typeof id}`
    throw failure(`${shown} is not the id of a volume.`, {
      code: 'invalid-reference',
      remedy: 'Give the UUID that `openstack volume list` shows; names are not unique.',
    })
  }
  const digits = id.replaceAll('-', '').toLowerCase()
  const canonical = [8, 12, 16, 20, 32].map((end, index) => digits.slice([0, 8, 12, 16, 20][index], end)).join('-')
  if (overhead === undefined) return { id: canonical }
  return { id: canonical, overhead: parseSize(overhead as string) }
}

function outcomeOf(ref: CinderRef): ParsedRef | VolumeExpansionError {
  try {
    return parseRef(ref)
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

function identityOf(ref: CinderRef, scope: string): VolumeIdentity {
  const { id } = parseRef(ref)
  return { scope, key: id, label: id }
}

function projectOf(volume: Fields): string | undefined {
  const project = textOf(volume['os-vol-tenant-attr:tenant_id'])
  return project !== undefined && /^[!-~]{1,255}$/.test(project) ? project : undefined
}

/** Quotas are told before a growth, and not read again while it is waited for. */
async function readQuotas(
  api: CinderApi,
  memory: Memory,
  volumes: ReadonlyMap<string, Fields>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Fields>> {
  const waiting = [...volumes].filter(([id]) => memory.asked(id) === undefined)
  const projects = new Set(waiting.flatMap(([, volume]) => projectOf(volume) ?? []))
  const quotas = await Promise.all(
    [...projects].map(async (project) => [project, await api.quota(project, signal)] as const),
  )
  return new Map(quotas.flatMap(([project, quota]) => (quota === undefined ? [] : [[project, quota]])))
}

function forgetEnded(memory: Memory, { key, phase, size }: VolumeState): void {
  const asked = memory.asked(key)
  if (asked === undefined || phase === 'growing') return
  if (phase !== 'stable' || size >= BigInt(asked.gibibytes) * GiB) memory.forget(key)
}

/** Whether Cinder looked at the volume and said no, so that looking at it again tells why. */
function isRefusal({ code, outcome }: VolumeExpansionError): boolean {
  return outcome === 'unchanged' && ['invalid-request', 'wrong-state', 'conflicting-change'].includes(code)
}

/** Cinder refuses a size that is there already, and every growth of a volume that is growing: what it was asked for decides what that means. */
async function judgeRefusal(
  { api, memory }: Shared,
  id: string,
  gibibytes: number,
  refusal: VolumeExpansionError,
  signal: AbortSignal | undefined,
): Promise<void> {
  const volume = await api.volume(id, signal).catch((error: unknown): never => {
    // Whoever may not even look had not asked for anything that could be done.
    if (error instanceof VolumeExpansionError && error.code === refusal.code) throw refusal
    // What is in the way may be this very growth, delivered twice by something in between.
    throw error instanceof VolumeExpansionError ? error.with({ outcome: 'unknown' }) : error
  })
  if (sizeOf(volume) >= BigInt(gibibytes) * GiB) return
  const status = statusOf(volume)
  if (status === 'extending') {
    if ((memory.asked(id)?.gibibytes ?? 0) >= gibibytes) return
    throw alreadyGrowing(id)
  }
  if (status === 'in-use' && (await api.version(signal)) < microversions.extendInUse) {
    throw failure(`${id} is in use, and this Cinder grows volumes only while they are available.`, {
      code: 'offline-only',
      remedy: 'Detach it, grow it, and attach it again.',
    })
  }
  // It was growing when Cinder looked, and is not any more.
  if (refusal.code === 'conflicting-change') throw alreadyGrowing(id)
  throw refusal
}

function vanished(id: string): VolumeExpansionError {
  return failure(`${id} was not in what Cinder answered.`, {
    code: 'backend-unreachable',
    retryable: true,
    remedy: 'Run it again.',
  })
}

function tooLarge(id: string): VolumeExpansionError {
  return failure(`${id} cannot be grown so far: Cinder counts sizes in GiB up to ${largest}.`, {
    code: 'limit-exceeded',
    remedy: 'Ask for less.',
  })
}

/** Nova gives the volume's id to the disk as its serial (nova/virt/libvirt/config.py); buses with less room show its beginning. */
function hintsOf(id: string): DeviceHints {
  return { serial: id, serialCutAt: shortSerial, byId: [`virtio-${id.slice(0, shortSerial)}`] }
}

/** The in-tree driver, and the CSI driver of cloud-provider-openstack. */
function fromPersistentVolume(persistentVolume: object): CinderRef | undefined {
  const { cinder, csi } = fieldsOf(fieldsOf(persistentVolume)['spec'])
  const { driver, volumeHandle } = fieldsOf(csi)
  const id = driver === 'cinder.csi.openstack.org' ? volumeHandle : fieldsOf(cinder)['volumeID']
  return typeof id === 'string' && uuid.test(id) ? id : undefined
}
