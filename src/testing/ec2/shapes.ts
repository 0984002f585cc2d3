import { type Ec2Volume, type Modification, progressOf, stateOf } from './volume.ts'
import type { Xml } from './xml.ts'

/** A snapshot: `pending`, then `completed` or `error` (Amazon EC2 API Reference, Snapshot). */
export interface Ec2Snapshot {
  readonly id: string
  readonly region: string
  readonly volumeId: string
  readonly size: number
  readonly description: string | undefined
  readonly tags: ReadonlyMap<string, string>
  readonly start: number
  readonly completedAt: number
  readonly fails: boolean
}

type Fields = { readonly [name: string]: Xml }

/** Turns a time of the clock into a date. */
export type DateOf = (at: number) => Date

function tagSet(tags: ReadonlyMap<string, string>): readonly Fields[] {
  return [...tags].map(([key, value]) => ({ key, value }))
}

/** Amazon EC2 API Reference, Volume. */
export function volumeFields(volume: Ec2Volume, at: number, dateOf: DateOf): Fields {
  const { type, size, iops, throughput, multiAttach } = volume.shape(at)
  const { attachments = [], encrypted = false, managedBy } = volume.options
  return {
    volumeId: volume.id,
    size,
    availabilityZone: `${volume.region}a`,
    status: volume.status,
    createTime: dateOf(0),
    attachmentSet: attachments.map(({ instanceId, device, deleteOnTermination = false }) => ({
      volumeId: volume.id,
      ...{ instanceId, device, status: 'attached', attachTime: dateOf(0), deleteOnTermination },
    })),
    ...{ volumeType: type, iops, throughput, encrypted, multiAttachEnabled: multiAttach },
    ...(managedBy === undefined ? {} : { operator: { managed: true, principal: managedBy } }),
  }
}

/** Amazon EC2 API Reference, VolumeModification. */
export function modificationFields(id: string, modification: Modification, at: number, dateOf: DateOf): Fields {
  const { original, target, start, optimizingAt, completedAt } = modification
  const state = stateOf(modification, at)
  const end = state === 'completed' ? completedAt : state === 'failed' ? optimizingAt : undefined
  return {
    volumeId: id,
    modificationState: state,
    statusMessage: state === 'failed' ? 'The modification failed, and the volume is as it was.' : undefined,
    targetSize: target.size,
    targetIops: target.iops,
    targetVolumeType: target.type,
    targetThroughput: target.throughput,
    targetMultiAttachEnabled: target.multiAttach,
    originalSize: original.size,
    originalIops: original.iops,
    originalVolumeType: original.type,
    originalThroughput: original.throughput,
    originalMultiAttachEnabled: original.multiAttach,
    progress: progressOf(modification, at),
    startTime: dateOf(start),
    endTime: end === undefined ? undefined : dateOf(end),
  }
}

/** Amazon EC2 API Reference, Snapshot. */
export function snapshotFields(snapshot: Ec2Snapshot, at: number, dateOf: DateOf): Fields {
  const { id, volumeId, size, description, tags, start, completedAt, fails } = snapshot
  const isOver = at >= completedAt
  const percent = isOver ? 100 : Math.floor(((at - start) / Math.max(1, completedAt - start)) * 100)
  return {
    snapshotId: id,
    volumeId,
    status: snapshotStatus(snapshot, at),
    statusMessage: isOver && fails ? 'The snapshot could not be made.' : undefined,
    startTime: dateOf(start),
    progress: `${percent}%`,
    ownerId: '123456789012',
    volumeSize: size,
    description: description ?? '',
    encrypted: false,
    tagSet: tagSet(tags),
  }
}

export function snapshotStatus({ completedAt, fails }: Ec2Snapshot, at: number): 'pending' | 'completed' | 'error' {
  if (at < completedAt) return 'pending'
  return fails ? 'error' : 'completed'
}
