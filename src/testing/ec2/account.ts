import type { Clock } from '../../clock.ts'
import { Ec2Fault } from './fault.ts'
import { type Filter, matcher, page, type Query } from './query.ts'
import {
  type DateOf,
  type Ec2Snapshot,
  modificationFields,
  snapshotFields,
  snapshotStatus,
  volumeFields,
} from './shapes.ts'
import { Ec2Volume, type Ec2VolumeOptions, type Modification, stateOf } from './volume.ts'
import type { Xml } from './xml.ts'

/** A change that was accepted, whether its answer arrived or not. */
export interface AcceptedEc2Mutation {
  readonly action: 'ModifyVolume' | 'CreateSnapshot'
  readonly volumeId: string
  /** GiB: what the volume is to become, or what the snapshot is of. */
  readonly size: number
  readonly iops?: number
  readonly throughput?: number
  readonly type: string
  /** As the clock counts. */
  readonly at: number
  readonly accessKeyId: string
}

export interface AccountOptions {
  readonly clock: Clock
  readonly region: string
  /** Milliseconds. */
  readonly modifying: number
  readonly optimizing: number
  readonly snapshotTime: number
  /** GiB of all volumes of one type in the region. */
  readonly quota: number | undefined
}

/** How one request sees the account. */
export interface View {
  readonly region: string
  readonly accessKeyId: string
  /** The time that reads show, which may lie behind. */
  readonly readAt: number
}

type Answer = Readonly<Record<string, Xml>>

/** Volumes and snapshots, and the actions on them. */
export class Account {
  readonly volumes: Map<string, Ec2Volume> = new Map<string, Ec2Volume>()
  readonly snapshots: Map<string, Ec2Snapshot> = new Map<string, Ec2Snapshot>()
  readonly accepted: AcceptedEc2Mutation[] = []
  readonly #options: AccountOptions
  readonly #dateOf: DateOf

  constructor(options: AccountOptions) {
    const { clock } = options
    this.#options = options
    this.#dateOf = (at) => new Date(Math.round(clock.date().getTime() + at - clock.now()))
  }

  add(id: string, volume: Ec2VolumeOptions): Ec2Volume {
    const made = new Ec2Volume(id, this.#options.region, volume)
    this.volumes.set(id, made)
    return made
  }

  answer(action: string, query: Query, view: View): Answer {
    switch (action) {
      case 'DescribeVolumes':
        return this.#describeVolumes(query, view)
      case 'DescribeVolumesModifications':
        return this.#describeModifications(query, view)
      case 'ModifyVolume':
        return this.#modifyVolume(query, view)
      case 'CreateSnapshot':
        return this.#createSnapshot(query, view)
      case 'DescribeSnapshots':
        return this.#describeSnapshots(query, view)
      default:
        throw new Ec2Fault('InvalidAction', `The action ${action} is not valid for this web service.`)
    }
  }

  #find(id: string | undefined, region: string): Ec2Volume {
    if (id === undefined) {
      throw new Ec2Fault('MissingParameter', 'The request must contain the parameter volumeId')
    }
    if (!/^vol-[0-9a-f]{1,17}$/.test(id)) {
      throw new Ec2Fault('InvalidParameterValue', `Value (${id}) for parameter volumeId is invalid.`)
    }
    const volume = this.volumes.get(id)
    // Regions are apart: a volume of another one does not exist here (Amazon EC2 User Guide, "Resource locations").
    if (volume === undefined || volume.region !== region) {
      throw new Ec2Fault('InvalidVolume.NotFound', `The volume '${id}' does not exist.`)
    }
    return volume
  }

  #listed(query: Query, { region }: View): readonly Ec2Volume[] {
    const ids = query.list('VolumeId')
    if (ids.length > 500) {
      throw new Ec2Fault('InvalidParameterValue', 'The maximum number of volume IDs in a single call is 500')
    }
    // "You cannot specify this parameter and the volume IDs parameter in the same request": DescribeVolumes, MaxResults.
    if (ids.length > 0 && query.text('MaxResults') !== undefined) {
      throw new Ec2Fault(
        'InvalidParameterCombination',
        'The parameter volumeSet cannot be used with the parameter maxResults',
      )
    }
    if (ids.length > 0) return ids.map((id) => this.#find(id, region))
    return [...this.volumes.values()].filter((volume) => volume.region === region)
  }

  #describeVolumes(query: Query, view: View): Answer {
    const passes = filtering(query.filters())
    const found = this.#listed(query, view).filter((volume) =>
      passes((name) => {
        if (name === 'volume-id') return volume.id
        if (name === 'status') return volume.status
        if (name === 'volume-type') return volume.shape(view.readAt).type
        return undefined
      }),
    )
    const { items, nextToken } = page(found, query, 500)
    return { volumeSet: items.map((volume) => volumeFields(volume, view.readAt, this.#dateOf)), nextToken }
  }

  /**
   * One id that was never modified fails the whole call (awslabs/aws-sdk-rust issue 1346); a filter just leaves such a volume out (cloud-custodian, `ModifyableVolume`).
   */
  #describeModifications(query: Query, view: View): Answer {
    const ids = query.list('VolumeId')
    const passes = filtering(query.filters())
    const rows: { readonly id: string; readonly modification: Modification }[] = []
    const add = (volume: Ec2Volume): number =>
      rows.push(...volume.history(view.readAt).map((modification) => ({ id: volume.id, modification })))
    if (ids.length > 500) {
      throw new Ec2Fault('InvalidParameterValue', 'The maximum number of volume IDs in a single call is 500')
    }
    for (const id of ids) {
      const volume = this.#find(id, view.region)
      if (volume.history(view.readAt).length === 0) {
        throw new Ec2Fault('InvalidVolumeModification.NotFound', `Modification for volume '${id}' does not exist.`)
      }
      add(volume)
    }
    if (ids.length === 0) for (const volume of this.volumes.values()) if (volume.region === view.region) add(volume)
    const found = rows.filter(({ id, modification }) =>
      passes((name) => {
        if (name === 'volume-id') return id
        if (name === 'modification-state') return stateOf(modification, view.readAt)
        if (name === 'start-time') return this.#dateOf(modification.start).toISOString()
        return undefined
      }),
    )
    const { items, nextToken } = page(found, query, 500)
    return {
      volumeModificationSet: items.map(({ id, modification }) =>
        modificationFields(id, modification, view.readAt, this.#dateOf),
      ),
      nextToken,
    }
  }

  #modifyVolume(query: Query, { region, accessKeyId }: View): Answer {
    const { clock, quota } = this.#options
    const volume = this.#find(query.text('VolumeId'), region)
    const now = clock.now()
    const request = {
      type: query.text('VolumeType'),
      size: query.integer('Size'),
      iops: query.integer('Iops'),
      throughput: query.integer('Throughput'),
    }
    const target = volume.judge(request, now)
    if (quota !== undefined) refuseAbove(quota, target.size + this.#used(volume, target.type, now), target.type)
    const modification = volume.modify(target, now, this.#options)
    const { iops, throughput } = target
    this.accepted.push({
      ...{ action: 'ModifyVolume', volumeId: volume.id, size: target.size, type: target.type, at: now, accessKeyId },
      ...(iops === undefined ? {} : { iops }),
      ...(throughput === undefined ? {} : { throughput }),
    })
    return { volumeModification: modificationFields(volume.id, modification, now, this.#dateOf) }
  }

  /** GiB of all other volumes of the type in the region. */
  #used(volume: Ec2Volume, type: string, now: number): number {
    return [...this.volumes.values()]
      .filter((other) => other !== volume && other.region === volume.region && other.shape(now).type === type)
      .reduce((sum, other) => sum + other.shape(now).size, 0)
  }

  /** It has no token for repeated requests: each one that is accepted makes a snapshot (Amazon EC2 API Reference, CreateSnapshot). */
  #createSnapshot(query: Query, { region, accessKeyId }: View): Answer {
    const { clock, snapshotTime } = this.#options
    const volume = this.#find(query.text('VolumeId'), region)
    const now = clock.now()
    const { size, type } = volume.shape(now)
    const snapshot: Ec2Snapshot = {
      id: `snap-${(this.snapshots.size + 1).toString(16).padStart(17, '0')}`,
      ...{ region, volumeId: volume.id, size, description: query.text('Description'), tags: query.tags() },
      ...{ start: now, completedAt: now + snapshotTime, fails: false },
    }
    this.snapshots.set(snapshot.id, snapshot)
    this.accepted.push({ action: 'CreateSnapshot', volumeId: volume.id, size, type, at: now, accessKeyId })
    return snapshotFields(snapshot, now, this.#dateOf)
  }

  #describeSnapshots(query: Query, { region, readAt }: View): Answer {
    const ids = query.list('SnapshotId')
    const passes = filtering(query.filters())
    const visible = [...this.snapshots.values()].filter(
      (snapshot) => snapshot.region === region && snapshot.start <= readAt,
    )
    for (const id of ids) {
      if (visible.some((snapshot) => snapshot.id === id)) continue
      throw new Ec2Fault('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`)
    }
    const found = visible
      .filter(({ id }) => ids.length === 0 || ids.includes(id))
      .filter((snapshot) =>
        passes((name) => {
          if (name === 'volume-id') return snapshot.volumeId
          if (name === 'snapshot-id') return snapshot.id
          if (name === 'status') return snapshotStatus(snapshot, readAt)
          return name.startsWith('tag:') ? snapshot.tags.get(name.slice('tag:'.length)) : undefined
        }),
      )
    const { items, nextToken } = page(found, query, 1000)
    return { snapshotSet: items.map((snapshot) => snapshotFields(snapshot, readAt, this.#dateOf)), nextToken }
  }
}

function refuseAbove(quota: number, size: number, type: string): void {
  if (size <= quota) return
  throw new Ec2Fault(
    'VolumeModificationSizeLimitExceeded',
    `You have exceeded your maximum total volume storage limit of ${quota} GiB for ${type} volumes in this region.`,
  )
}

/** Whether all filters let something through, whose values are found by their names. */
function filtering(filters: readonly Filter[]): (attribute: (name: string) => string | undefined) => boolean {
  const compiled = filters.map(({ name, values }) => ({ name, matches: matcher(values) }))
  return (attribute) => compiled.every(({ name, matches }) => matches(attribute(name)))
}
