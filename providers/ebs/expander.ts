import { type ErrorCode, VolumeExpansionError } from '../../src/errors.ts'
import type { Capabilities, ReadOutcome, VolumeExpander, VolumeState } from '../../src/expander.ts'
import type { DeviceHints } from '../../src/hints.ts'
import { type Bytes, bytes, formatSize, GiB, roundUp } from '../../src/size.ts'
import { ec2Error, nativeCode, providerName, refuseAborted } from './errors.ts'
import { gibibytes } from './limits.ts'
import { type EbsRef, type EbsVolumeOptions, ofPersistentVolume, referenceOf } from './reference.ts'
import type { Seen, Sights } from './sights.ts'
import { ebsSnapshots } from './snapshots.ts'
import { type EbsState, isUnderWay, type Sight, stateOf } from './state.ts'

export interface EbsExpanderOptions {
  /** What batches and rate limits go by. */
  readonly scope: string
  readonly sights: Sights
  readonly pace: NonNullable<Capabilities['pace']>
  readonly poll: NonNullable<Capabilities['poll']>
  /** The wall clock, against which the rolling window of modifications is judged. */
  readonly date: () => Date
}

/** Codes with which EC2 says that what it was asked for does not fit what is there: worth another look before it is believed. */
const overtaken: ReadonlySet<string> = new Set([
  'IncorrectModificationState',
  'InvalidParameterValue',
  'VolumeModificationRateExceeded',
])

/**
 * The provider of EBS volumes. Written after the documents and tried against an emulator of them: it has never met the real EC2.
 *
 * A growth is one ModifyVolume with everything that is wished. It is over when the modification has left `modifying` and DescribeVolumes shows the size: the rest
 * (`optimizing`, up to more than a day) concerns speed only. The rights that following it needs are proven by the reads that come before; ModifyVolume
 * itself is not tried by a dry run, since that takes a token of the same small bucket, and a denial leaves nothing behind.
 */
export function ebsExpander(options: EbsExpanderOptions): VolumeExpander<EbsRef, EbsVolumeOptions | undefined> {
  const { scope, sights, date } = options
  const capabilities: Capabilities = {
    granularity: GiB,
    // Two calls of DescribeVolumes, and five of DescribeVolumesModifications.
    readBatch: 1000,
    progress: true,
    hostsSeeGrowth: true,
    pace: options.pace,
    poll: options.poll,
  }

  async function modify(
    id: string,
    size: Bytes,
    wishes: EbsVolumeOptions,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { type, iops, throughput } = wishes
    const input = {
      ...{ VolumeId: id, Size: gibibytes(size) },
      ...(iops === undefined ? {} : { Iops: iops }),
      ...(throughput === undefined ? {} : { Throughput: throughput }),
      ...(type === undefined ? {} : { VolumeType: type }),
    }
    try {
      sights.accepted(id, await sights.calls.modify(input, signal))
    } catch (thrown) {
      sights.forget(id)
      throw overtaken.has(nativeCode(thrown)) ? new Overtaken(thrown) : ec2Error(thrown, 'ModifyVolume', id, signal)
    }
  }

  return {
    name: providerName,
    capabilities,
    normalize(ref) {
      const { id } = referenceOf(ref)
      return { scope, key: id, label: id }
    },
    async read(refs, { signal }) {
      refuseAborted(signal)
      if (refs.length === 0) return []
      const references = refs.map(parsed)
      const ids = [...new Set(references.flatMap((reference) => (reference instanceof Error ? [] : [reference.id])))]
      const seen = await sights.look(ids, signal).catch((thrown: unknown) => {
        // The look has changed nothing, and what is under way may go on unseen.
        const isUnknown = thrown instanceof VolumeExpansionError && sights.isFollowing(ids)
        throw isUnknown ? thrown.with({ outcome: 'unknown' }) : thrown
      })
      const now = date()
      return references.map((reference): ReadOutcome => {
        if (reference instanceof Error) return reference
        const { id } = reference
        const sight = seen.get(id)
        if (sight === undefined || sight instanceof Error) return sight ?? unseen(id)
        return stateOf(id, sight, reference, sights.awaited(id), now)
      })
    },
    async expand(ref, { size: wanted, options: given, signal }) {
      const reference = referenceOf(ref)
      const { id } = reference
      refuseAborted(signal)
      const size = roundUp(bytes(wanted), GiB)
      if (begun(id, sightIn(await sights.recent(id)), size, sights)) return
      // Looking takes a while, and the signal is not the looks'.
      refuseAborted(signal)
      try {
        await modify(id, size, { ...reference, ...given }, signal)
      } catch (thrown) {
        if (!(thrown instanceof Overtaken)) throw thrown
        const sight = await sights.now(id).then(sightIn).catch(undecided)
        if (begun(id, sight, size, sights)) return
        if (nativeCode(thrown.native) === 'IncorrectModificationState') throw unseenChange(id)
        throw ec2Error(thrown.native, 'ModifyVolume', id, signal)
      }
    },
    identify: (ref, state) => hintsOf(referenceOf(ref), state),
    snapshots: ebsSnapshots(sights.calls),
    fromPersistentVolume: ofPersistentVolume,
  }
}

/** EC2 refused because the world is another one than was seen. */
class Overtaken extends Error {
  readonly native: unknown
  constructor(native: unknown) {
    super('overtaken')
    this.native = native
  }
}

/**
 * Whether the volume has the size already, or is on its way to it: then nothing is asked for, since a modification that changes nothing counts as one of the
 * day's too.
 * @throws {VolumeExpansionError} `conflicting-change`, `too-soon`
 */
function begun(id: string, { volume, newest }: Sight, size: Bytes, sights: Sights): boolean {
  const target = BigInt(newest?.TargetSize ?? 0) * GiB
  if (isUnderWay(newest)) {
    sights.await(id, newest)
    if (target >= size) return true
    throw refusal('conflicting-change', `${id} is being modified to ${formatSize(target)} already.`)
  }
  if (BigInt(volume.Size ?? 0) * GiB >= size) return true
  if (newest?.ModificationState === 'optimizing') {
    sights.await(id, newest)
    // Its size can lag behind in DescribeVolumes.
    if (target >= size) return true
    throw refusal('too-soon', `${id} is optimizing after a modification to ${formatSize(target)}.`)
  }
  return false
}

/** What is in the way may be this very growth, delivered twice by something in between: without a look at it, nobody knows. */
function undecided(error: unknown): never {
  throw error instanceof VolumeExpansionError ? error.with({ outcome: 'unknown' }) : error
}

/** Reads lag behind what ModifyVolume knows ("Eventual consistency", Amazon EC2 Developer Guide): what is under way may be what is wanted. */
function unseenChange(id: string): VolumeExpansionError {
  return new VolumeExpansionError('conflicting-change', `A modification of ${id} is under way that is not shown yet.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unknown', retryable: true, retryAfter: 1000 },
    remedy: 'Run it again in a moment: it joins what is under way.',
  })
}

function refusal(code: ErrorCode, message: string): VolumeExpansionError {
  return new VolumeExpansionError(code, message, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
    remedy: 'Run it again when that modification is completed, which can take more than a day.',
  })
}

function sightIn(seen: Seen): Sight {
  if (seen instanceof Error) throw seen
  return seen
}

function unseen(id: string): VolumeExpansionError {
  return refusal('not-found', `${id} was not looked at.`)
}

function parsed(ref: EbsRef): ReturnType<typeof referenceOf> | VolumeExpansionError {
  try {
    return referenceOf(ref)
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

/**
 * On Nitro the NVMe serial is the id without its dash, and udev's names say the same (Amazon EC2 User Guide, "Amazon EBS and NVMe"); on some images only those with
 * the namespace exist. On Xen there is only the name of the attachment.
 */
function hintsOf({ id, hypervisor = 'nitro' }: ReturnType<typeof referenceOf>, state: VolumeState): DeviceHints {
  const serial = id.replace('-', '')
  const [device, ...more] = (state as Partial<EbsState>).devices ?? []
  if (hypervisor === 'xen' && device !== undefined && more.length === 0) {
    return { path: device.replace(/^\/dev\/(sd|xvd)/, '/dev/xvd').replace(/^(?!\/dev\/)/, '/dev/') }
  }
  const name = `nvme-Amazon_Elastic_Block_Store_${serial}`
  return { serial, byId: [name, `${name}-ns-1`, `${name}_1`] }
}
