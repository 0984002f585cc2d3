import type { Clock } from '../../clock.ts'
import { ApiFailure, invalid, notFound } from './answers.ts'
import { defaultIops, diskTypes, requireIops, validDiskSize } from './disk-types.ts'

/** A resource as the API shows it: int64 values are strings. */
export interface Resource {
  readonly name: string
  readonly selfLink: string
  readonly [field: string]: unknown
}

/** Where a resource lives. */
export type Place = { readonly zone: string } | { readonly region: string }

/** An instance that has a disk. */
export interface EmulatedAttachment {
  readonly instance: string
  /** Left out: the disk's name. */
  readonly deviceName?: string
  /** Left out: `SCSI`. */
  readonly interface?: 'SCSI' | 'NVME'
}

export type DiskStatus = 'CREATING' | 'RESTORING' | 'FAILED' | 'READY' | 'DELETING' | 'UNAVAILABLE'

/** A disk to begin with. */
export interface EmulatedDisk {
  readonly name: string
  readonly zone?: string
  /** For a regional disk, in place of the zone. */
  readonly region?: string
  /** In GB of 2^30 bytes. */
  readonly sizeGb: number
  /** Left out: `pd-balanced`. */
  readonly type?: string
  /** Left out: `READY`. */
  readonly status?: DiskStatus
  /** Left out: what its type gives a disk of its size. */
  readonly provisionedIops?: number
  readonly attachments?: readonly EmulatedAttachment[]
  /** Milliseconds that its changes take. Left out: the emulator's. */
  readonly operationTime?: number
}

/** Names the size of all disks of a kind in a region may not exceed, as `regions.get` lists them. */
export interface EmulatedQuota {
  readonly metric: 'DISKS_TOTAL_GB' | 'SSD_TOTAL_GB'
  readonly region: string
  readonly limit: number
}

interface Disk {
  readonly id: string
  readonly name: string
  readonly place: Place
  readonly type: string
  readonly attachments: readonly EmulatedAttachment[]
  readonly createdAt: string
  readonly operationTime: number
  sizeGb: number
  iops: number | undefined
  throughput: number | undefined
  status: DiskStatus
}

export interface OperationError {
  readonly code: string
  readonly message: string
}

interface Operation {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly place: Place
  readonly target: string
  readonly targetId: string
  readonly requestId: string | undefined
  readonly insertTime: string
  readonly endsAt: number
  readonly error: OperationError | undefined
  /** What becomes of the world when it ends well. */
  readonly effect: () => void
  endTime: string | undefined
}

interface Snapshot {
  readonly id: string
  readonly name: string
  readonly source: string
  readonly diskSizeGb: number
  readonly createdAt: string
  status: 'CREATING' | 'UPLOADING' | 'READY' | 'FAILED'
}

/** A change that was accepted, whether its answer arrived or not. */
export interface ComputeMutation {
  readonly method: 'resize' | 'update' | 'createSnapshot'
  /** `zones/Z/disks/D` or `regions/R/disks/D`. */
  readonly disk: string
  /** The size that was asked for, where one was. */
  readonly sizeGb?: number
  readonly provisionedIops?: number
  readonly requestId?: string
  readonly operation: string
  /** As `clock.now()` counts. */
  readonly at: number
}

export interface WorldOptions {
  readonly clock: Clock
  readonly project: string
  readonly operationTime: number
  readonly quotas: readonly EmulatedQuota[]
}

export function placePath(place: Place): string {
  return 'zone' in place ? `zones/${place.zone}` : `regions/${place.region}`
}

function regionOf(place: Place): string {
  return 'zone' in place ? place.zone.replace(/-[a-z]$/, '') : place.region
}

/**
 * The resources and what becomes of them. A change takes effect when its operation is DONE, and not when it is accepted; until then the disk is READY with its
 * old size (https://cloud.google.com/compute/docs/reference/rest/v1/disks has no status for a resize).
 */
export class World {
  readonly mutations: ComputeMutation[] = []
  readonly #options: WorldOptions
  readonly #disks = new Map<string, Disk>()
  readonly #operations = new Map<string, Operation>()
  readonly #running = new Map<string, Operation>()
  readonly #snapshots = new Map<string, Snapshot>()
  #ids = 0

  constructor(options: WorldOptions) {
    this.#options = options
  }

  set(disk: EmulatedDisk): void {
    const { name, zone, region, sizeGb, type = 'pd-balanced', status = 'READY', attachments = [] } = disk
    if ((zone === undefined) === (region === undefined)) throw new TypeError('A disk is in a zone or in a region.')
    const place: Place = zone === undefined ? { region: region ?? '' } : { zone }
    this.#disks.set(diskKey(place, name), {
      ...{ name, place, sizeGb, type, status, attachments },
      id: this.#id(),
      iops: disk.provisionedIops ?? defaultIops(type, sizeGb),
      throughput: undefined,
      createdAt: this.#date(),
      operationTime: disk.operationTime ?? this.#options.operationTime,
    })
  }

  /** Sizes in GB by `zones/Z/disks/D`, as they are now. */
  size(key: string): number {
    this.#settle()
    return this.#known(key).sizeGb
  }

  /** As another tool would have done it, and finished. */
  grow(key: string, sizeGb: number): void {
    this.#settle()
    this.#known(key).sizeGb = sizeGb
  }

  setStatus(key: string, status: DiskStatus): void {
    this.#known(key).status = status
  }

  remove(key: string): void {
    this.#disks.delete(key)
  }

  disk(place: Place, name: string): object {
    this.#settle()
    return this.#diskResource(this.#find(place, name))
  }

  /** All of a place; of all places when it is left out. */
  disks(place?: Place): readonly Resource[] {
    this.#settle()
    return [...this.#disks.values()]
      .filter((disk) => place === undefined || placePath(disk.place) === placePath(place))
      .map((disk) => this.#diskResource(disk))
  }

  diskType(place: Place, name: string): object {
    const type = diskTypes[name]
    if (type === undefined) throw notFound(this.#path(place, 'diskTypes', name))
    return {
      kind: 'compute#diskType',
      name,
      validDiskSize: validDiskSize(type),
      ...this.#located(place, 'diskTypes', name),
    }
  }

  instances(place: Place): readonly Resource[] {
    const disks = [...this.#disks.values()].filter((disk) => disk.attachments.length > 0)
    const names = new Set(
      disks
        .filter((disk) => this.#instancePlace(disk.place) === placePath(place))
        .flatMap((disk) => disk.attachments.map(({ instance }) => instance)),
    )
    return [...names].sort().map((name) => ({
      ...{ kind: 'compute#instance', name, status: 'RUNNING', ...this.#located(place, 'instances', name) },
      disks: disks.flatMap((disk, index) =>
        disk.attachments
          .filter(({ instance }) => instance === name && this.#instancePlace(disk.place) === placePath(place))
          .map((attachment) => ({
            ...{ kind: 'compute#attachedDisk', type: 'PERSISTENT', mode: 'READ_WRITE', index },
            source: this.#link(diskKey(disk.place, disk.name)),
            deviceName: attachment.deviceName ?? disk.name,
            interface: attachment.interface ?? 'SCSI',
          })),
      ),
    }))
  }

  instance(place: Place, name: string): object {
    const found = this.instances(place).find((instance) => instance.name === name)
    if (found === undefined) throw notFound(this.#path(place, 'instances', name))
    return found
  }

  operation(place: Place, name: string): object {
    this.#settle()
    return this.#operationResource(this.#findOperation(place, name))
  }

  /** Milliseconds until it is DONE; 0 when it is. */
  untilDone(place: Place, name: string): number {
    this.#settle()
    const operation = this.#findOperation(place, name)
    return operation.endTime === undefined ? Math.max(1, operation.endsAt - this.#options.clock.now()) : 0
  }

  operations(place: Place): readonly Resource[] {
    this.#settle()
    return [...this.#operations.values()]
      .filter((operation) => placePath(operation.place) === placePath(place))
      .map((operation) => this.#operationResource(operation))
  }

  snapshot(name: string): object {
    this.#settle()
    const snapshot = this.#snapshots.get(name)
    if (snapshot === undefined) throw notFound(`projects/${this.#options.project}/global/snapshots/${name}`)
    return {
      ...{
        kind: 'compute#snapshot',
        id: snapshot.id,
        name,
        status: snapshot.status,
        sourceDisk: this.#link(snapshot.source),
      },
      diskSizeGb: `${snapshot.diskSizeGb}`,
      creationTimestamp: snapshot.createdAt,
      selfLink: this.#link(`global/snapshots/${name}`),
    }
  }

  /** `disks.resize`: whole GB, larger than now, within the type's bounds, and no other change of the disk under way. */
  resize(place: Place, name: string, body: unknown, requestId: string | undefined, error?: OperationError): object {
    const sizeGb = wholeNumber(body, 'sizeGb')
    if (sizeGb === undefined) throw invalid("Invalid value for field 'sizeGb': ''.")
    return this.#repeated(requestId) ?? this.#change('resize', place, name, { sizeGb, larger: true }, requestId, error)
  }

  /** `disks.update` of the fields that the mask names: size and provisioned performance in one change. */
  update(
    place: Place,
    name: string,
    body: unknown,
    mask: readonly string[],
    requestId: string | undefined,
    error?: OperationError,
  ): object {
    const named = (field: string): number | undefined => (mask.includes(field) ? wholeNumber(body, field) : undefined)
    const change = {
      sizeGb: named('sizeGb'),
      iops: named('provisionedIops'),
      throughput: named('provisionedThroughput'),
      larger: false,
    }
    return this.#repeated(requestId) ?? this.#change('update', place, name, change, requestId, error)
  }

  createSnapshot(
    place: Place,
    name: string,
    body: unknown,
    requestId: string | undefined,
    error?: OperationError,
  ): object {
    const again = this.#repeated(requestId)
    if (again !== undefined) return again
    this.#settle()
    const disk = this.#find(place, name)
    const snapshotName = textOf(body, 'name')
    if (snapshotName === undefined || !/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(snapshotName)) {
      throw invalid(
        `Invalid value for field 'resource.name': '${snapshotName ?? ''}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'`,
      )
    }
    if (this.#snapshots.has(snapshotName)) {
      throw new ApiFailure(
        409,
        'alreadyExists',
        `The resource 'projects/${this.#options.project}/global/snapshots/${snapshotName}' already exists`,
      )
    }
    const snapshot: Snapshot = {
      ...{ id: this.#id(), name: snapshotName, source: diskKey(place, name), diskSizeGb: disk.sizeGb },
      createdAt: this.#date(),
      status: 'CREATING',
    }
    this.#snapshots.set(snapshotName, snapshot)
    const effect = (): void => {
      snapshot.status = 'READY'
    }
    return this.#begin('createSnapshot', disk, {}, effect, requestId, error)
  }

  #change(
    method: 'resize' | 'update',
    place: Place,
    name: string,
    change: {
      readonly sizeGb?: number | undefined
      readonly iops?: number | undefined
      readonly throughput?: number | undefined
      readonly larger: boolean
    },
    requestId: string | undefined,
    error: OperationError | undefined,
  ): object {
    this.#settle()
    const disk = this.#find(place, name)
    const path = this.#path(place, 'disks', name)
    if (disk.status !== 'READY' || this.#running.has(diskKey(place, name))) {
      throw new ApiFailure(400, 'resourceNotReady', `The resource '${path}' is not ready`)
    }
    const { sizeGb = disk.sizeGb, iops = disk.iops, throughput = disk.throughput } = change
    // The text is that of terraform-provider-google#8597; the size that is there already is refused by resize as well.
    if (sizeGb < disk.sizeGb || (change.larger && sizeGb === disk.sizeGb)) {
      throw invalid(
        `Invalid value for field 'sizeGb': '${sizeGb}'. New disk size '${sizeGb}' GiB must be larger than existing size '${disk.sizeGb}' GiB.`,
      )
    }
    const bounds = diskTypes[disk.type]
    if (bounds !== undefined && sizeGb > bounds.most) {
      throw invalid(
        `Invalid value for field 'sizeGb': '${sizeGb}'. Disk size: '${sizeGb}' GB is larger than the maximum size '${bounds.most}' GB of ${disk.type}.`,
      )
    }
    requireIops(disk.type, sizeGb, iops)
    this.#requireQuota(disk, sizeGb)
    const effect = (): void => {
      // Growing only, even when it was made larger meanwhile by somebody who did not wait.
      disk.sizeGb = Math.max(disk.sizeGb, sizeGb)
      disk.iops = iops
      disk.throughput = throughput
    }
    const asked = {
      ...(change.sizeGb !== undefined && { sizeGb }),
      ...(change.iops !== undefined && { provisionedIops: change.iops }),
    }
    return this.#begin(method, disk, asked, effect, requestId, error)
  }

  /** The text is that of compute-image-tools#1390. */
  #requireQuota(disk: Disk, sizeGb: number): void {
    const metric = disk.type === 'pd-standard' ? 'DISKS_TOTAL_GB' : 'SSD_TOTAL_GB'
    const region = regionOf(disk.place)
    const quota = this.#options.quotas.find((each) => each.metric === metric && each.region === region)
    if (quota === undefined) return
    const total = [...this.#disks.values()]
      .filter(
        (each) => regionOf(each.place) === region && (each.type === 'pd-standard') === (metric === 'DISKS_TOTAL_GB'),
      )
      .reduce((sum, each) => sum + (each === disk ? sizeGb : each.sizeGb), 0)
    if (total <= quota.limit) return
    throw new ApiFailure(
      403,
      'quotaExceeded',
      `Quota '${metric}' exceeded.  Limit: ${quota.limit}.0 in region ${region}.`,
    )
  }

  #begin(
    method: ComputeMutation['method'],
    disk: Disk,
    asked: { readonly sizeGb?: number; readonly provisionedIops?: number },
    effect: () => void,
    requestId: string | undefined,
    error: OperationError | undefined,
  ): object {
    const { clock } = this.#options
    const id = this.#id()
    const target = diskKey(disk.place, disk.name)
    const operation: Operation = {
      ...{ id, requestId, effect, error, target, targetId: disk.id, place: disk.place },
      name: `operation-${id}`,
      type: method === 'resize' ? 'resizeDisk' : method,
      insertTime: this.#date(),
      endsAt: clock.now() + disk.operationTime,
      endTime: undefined,
    }
    this.#operations.set(operation.name, operation)
    // Only changes of the disk itself exclude each other; a snapshot is taken beside them.
    if (method !== 'createSnapshot') this.#running.set(target, operation)
    this.mutations.push({
      ...{ method, disk: target, operation: operation.name, at: clock.now(), ...asked },
      ...(requestId === undefined ? {} : { requestId }),
    })
    this.#settle()
    return this.#operationResource(operation)
  }

  /** The same requestId is the same request: it is answered with the operation that it began (the `requestId` parameter in the API reference). */
  #repeated(requestId: string | undefined): object | undefined {
    if (requestId === undefined) return undefined
    if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(requestId) || /^[0-]+$/.test(requestId)) {
      throw invalid(`Invalid value for field 'requestId': '${requestId}'. Must be a valid UUID.`)
    }
    this.#settle()
    const known = [...this.#operations.values()].find((operation) => operation.requestId === requestId)
    return known === undefined ? undefined : this.#operationResource(known)
  }

  #settle(): void {
    const now = this.#options.clock.now()
    for (const operation of this.#operations.values()) {
      if (operation.endTime !== undefined || operation.endsAt > now) continue
      operation.endTime = this.#date()
      if (this.#running.get(operation.target) === operation) this.#running.delete(operation.target)
      if (operation.error === undefined && (this.#disks.has(operation.target) || operation.type === 'createSnapshot')) {
        operation.effect()
      }
    }
  }

  #known(key: string): Disk {
    const disk = this.#disks.get(key)
    if (disk === undefined) throw new TypeError(`There is no disk ${key}.`)
    return disk
  }

  #find(place: Place, name: string): Disk {
    const disk = this.#disks.get(diskKey(place, name))
    if (disk === undefined) throw notFound(this.#path(place, 'disks', name))
    return disk
  }

  #findOperation(place: Place, name: string): Operation {
    const operation = this.#operations.get(name) ?? [...this.#operations.values()].find(({ id }) => id === name)
    if (operation === undefined || placePath(operation.place) !== placePath(place)) {
      throw notFound(this.#path(place, 'operations', name))
    }
    return operation
  }

  #diskResource(disk: Disk): Resource {
    const { place, name, attachments } = disk
    return {
      ...{ kind: 'compute#disk', id: disk.id, name, status: disk.status, creationTimestamp: disk.createdAt },
      sizeGb: `${disk.sizeGb}`,
      type: this.#link(`${placePath(place)}/diskTypes/${disk.type}`),
      ...this.#located(place, 'disks', name),
      ...(disk.iops === undefined ? {} : { provisionedIops: `${disk.iops}` }),
      ...(disk.throughput === undefined ? {} : { provisionedThroughput: `${disk.throughput}` }),
      ...(attachments.length === 0
        ? {}
        : {
            users: attachments.map(({ instance }) => this.#link(`${this.#instancePlace(place)}/instances/${instance}`)),
            lastAttachTimestamp: disk.createdAt,
          }),
    }
  }

  #operationResource(operation: Operation): Resource {
    const done = operation.endTime !== undefined
    const { error } = operation
    return {
      ...{ kind: 'compute#operation', id: operation.id, name: operation.name, operationType: operation.type },
      targetLink: this.#link(operation.target),
      targetId: operation.targetId,
      status: done ? 'DONE' : 'RUNNING',
      progress: done ? 100 : 0,
      insertTime: operation.insertTime,
      startTime: operation.insertTime,
      ...(operation.requestId === undefined ? {} : { clientOperationId: operation.requestId }),
      ...(done ? { endTime: operation.endTime } : {}),
      ...(done && error !== undefined
        ? { error: { errors: [error] }, httpErrorStatusCode: 400, httpErrorMessage: 'BAD REQUEST' }
        : {}),
      ...this.#located(operation.place, 'operations', operation.name),
    }
  }

  /** A regional disk's instances are taken to be in its region's zone a. */
  #instancePlace(place: Place): string {
    return placePath('zone' in place ? place : { zone: `${place.region}-a` })
  }

  #located(
    place: Place,
    collection: string,
    name: string,
  ): { readonly selfLink: string; readonly zone?: string; readonly region?: string } {
    const link = this.#link(placePath(place))
    return { ...('zone' in place ? { zone: link } : { region: link }), selfLink: `${link}/${collection}/${name}` }
  }

  #path(place: Place, collection: string, name: string): string {
    return `projects/${this.#options.project}/${placePath(place)}/${collection}/${name}`
  }

  #link(path: string): string {
    return `https://www.googleapis.com/compute/v1/projects/${this.#options.project}/${path}`
  }

  #date(): string {
    return this.#options.clock.date().toISOString()
  }

  #id(): string {
    this.#ids += 1
    return `${4_000_000_000_000_000_000n + BigInt(this.#ids)}`
  }
}

function diskKey(place: Place, name: string): string {
  return `${placePath(place)}/disks/${name}`
}

function textOf(body: unknown, field: string): string | undefined {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, field) : undefined
  return typeof value === 'string' ? value : undefined
}

/** An int64 in JSON is a string, and a number is accepted as well. */
function wholeNumber(body: unknown, field: string): number | undefined {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, field) : undefined
  if (value === undefined) return undefined
  if (/^\d+$/.test(`${value}`)) return Number(value)
  throw invalid(`Invalid value for field '${field}': '${value}'. It is not a whole number.`)
}
