import { VolumeExpansionError } from '../../src/errors.ts'
import type { SnapshotPhase, SnapshotState, Snapshots } from '../../src/expander.ts'
import type { Ec2Calls, SdkSnapshot } from './client.ts'
import { ec2Error, providerName, refuseAborted } from './errors.ts'
import { type EbsRef, referenceOf } from './reference.ts'

/** The tag by which a repeated request finds what the first one began: CreateSnapshot has no token for that. */
const requestTag = 'volume-expander-request'

const phases: Readonly<Record<string, SnapshotPhase>> = {
  pending: 'pending',
  completed: 'usable',
  recoverable: 'failed',
  recovering: 'pending',
  error: 'failed',
}

/**
 * Snapshots of EBS volumes: crash-consistent, of a volume in use as well. Need the rights CreateSnapshot, CreateTags and DescribeSnapshots. A repeated request looks
 * for the tag first; since reads can lag behind, a repetition within seconds of a lost answer may make a second snapshot, which costs room and no data.
 */
export function ebsSnapshots(calls: Ec2Calls): Snapshots<EbsRef> {
  return {
    async create(ref, { name, requestId, signal }) {
      const { id } = referenceOf(ref)
      refuseAborted(signal)
      const tag = { Key: requestTag, Value: requestId }
      const found = await about('DescribeSnapshots', id, signal, () => calls.snapshotsByTag(id, tag, signal))
      const first = [...found].sort(byStart)[0]?.SnapshotId
      if (first !== undefined) return first
      refuseAborted(signal)
      const tags = [{ Key: 'Name', Value: name }, tag]
      const made = await about('CreateSnapshot', id, signal, () => calls.createSnapshot(id, name, tags, signal))
      if (made.SnapshotId !== undefined) return made.SnapshotId
      throw new VolumeExpansionError('backend-failed', `CreateSnapshot for ${id} answered without an id.`, {
        ...{ layer: 'volume', provider: providerName, outcome: 'unknown' },
        remedy: 'Look for the snapshot by its tags before another is made.',
      })
    },
    async read(_ref, id, { signal }): Promise<SnapshotState> {
      refuseAborted(signal)
      const snapshot = await about('DescribeSnapshots', id, signal, () => calls.snapshot(id, signal))
      if (snapshot === undefined) {
        throw new VolumeExpansionError('not-found', `There is no snapshot ${id}.`, {
          ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
          remedy: 'Check the id and the region.',
        })
      }
      const native = snapshot.State ?? 'unknown'
      const percent = /^(\d{1,3})%$/.exec(snapshot.Progress ?? '')?.[1]
      return {
        ...{ id, native, phase: phases[native] ?? 'pending' },
        ...(percent === undefined ? {} : { progress: Math.min(1, Number(percent) / 100) }),
      }
    },
  }
}

function byStart(one: SdkSnapshot, other: SdkSnapshot): number {
  return (one.StartTime?.getTime() ?? 0) - (other.StartTime?.getTime() ?? 0)
}

async function about<Result>(
  action: 'CreateSnapshot' | 'DescribeSnapshots',
  id: string,
  signal: AbortSignal | undefined,
  call: () => Promise<Result>,
): Promise<Result> {
  try {
    return await call()
  } catch (thrown) {
    throw ec2Error(thrown, action, id, signal)
  }
}
