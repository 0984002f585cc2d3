import { GiB, maxSize } from '../../src/size.ts'
import { fieldOf } from './errors.ts'
import type { Provisioned } from './performance.ts'

/** What the provider keeps of a disk resource. */
export interface NativeDisk extends Provisioned {
  readonly name: string
  readonly sizeGb: bigint
  /** READY, CREATING, RESTORING, FAILED, DELETING or UNAVAILABLE. */
  readonly status: string
  /** Links of the instances that have it. */
  readonly users: readonly string[]
  /** When it was attached last: with the users, what tells one attachment from the next. */
  readonly attachedAt?: string
}

/** What the provider keeps of an operation. */
export interface NativeOperation {
  readonly name: string
  readonly type: string
  /** PENDING, RUNNING or DONE. */
  readonly status: string
  /** `zones/Z/disks/D` of what it changes. */
  readonly target: string
  readonly error?: { readonly code: string; readonly message: string }
}

/** Undefined when it is no disk. int64 values are strings in JSON, and may be numbers through a client. */
export function diskOf(resource: unknown): NativeDisk | undefined {
  const name = fieldOf(resource, 'name')
  const sizeGb = wholeNumber(fieldOf(resource, 'sizeGb'))
  if (typeof name !== 'string' || sizeGb === undefined || sizeGb > maxSize / GiB) return undefined
  const iops = wholeNumber(fieldOf(resource, 'provisionedIops'))
  const throughput = wholeNumber(fieldOf(resource, 'provisionedThroughput'))
  const attachedAt = fieldOf(resource, 'lastAttachTimestamp')
  const users = fieldOf(resource, 'users')
  return {
    ...{ name, sizeGb, status: textOf(resource, 'status') || 'UNKNOWN' },
    type: textOf(resource, 'type').replace(/^.*\//, ''),
    users: Array.isArray(users) ? users.filter((user) => typeof user === 'string') : [],
    ...(iops === undefined ? {} : { iops: Number(iops) }),
    ...(throughput === undefined ? {} : { throughput: Number(throughput) }),
    ...(typeof attachedAt === 'string' ? { attachedAt } : {}),
  }
}

/** Undefined when it is no operation. */
export function operationOf(resource: unknown): NativeOperation | undefined {
  const name = fieldOf(resource, 'name')
  const status = fieldOf(resource, 'status')
  if (typeof name !== 'string' || typeof status !== 'string') return undefined
  const errors = fieldOf(fieldOf(resource, 'error'), 'errors')
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  const code = fieldOf(first, 'code')
  return {
    ...{ name, status, type: textOf(resource, 'operationType') },
    target: textOf(resource, 'targetLink').replace(/^.*\/projects\/[^/]+\//, ''),
    // Only DONE is an end: an error may be shown before that.
    ...(status === 'DONE' && first !== undefined
      ? { error: { code: typeof code === 'string' ? code : 'UNKNOWN', message: textOf(first, 'message') } }
      : {}),
  }
}

/** How an instance has a disk. */
export interface Attachment {
  readonly instance: string
  readonly zone: string
  readonly deviceName: string
  /** `SCSI` or `NVME`. */
  readonly interface: string
}

/** The disks of an instance resource, by `zones/Z/disks/D`. */
export function attachmentsOf(resource: unknown, zone: string): ReadonlyMap<string, Attachment> {
  const instance = textOf(resource, 'name')
  const disks = fieldOf(resource, 'disks')
  return new Map(
    (Array.isArray(disks) ? disks : []).flatMap((disk: unknown) => {
      const deviceName = textOf(disk, 'deviceName')
      const source = textOf(disk, 'source').replace(/^.*\/projects\/[^/]+\//, '')
      if (deviceName === '' || source === '') return []
      return [[source, { instance, zone, deviceName, interface: textOf(disk, 'interface') || 'SCSI' }] as const]
    }),
  )
}

/** `zone` and `name` of an instance's link. */
export function instanceOf(link: string): { readonly zone: string; readonly name: string } | undefined {
  const [, zone, name] = /\/zones\/([-a-z0-9]+)\/instances\/([-a-z0-9]+)$/.exec(link) ?? []
  return zone === undefined || name === undefined ? undefined : { zone, name }
}

function textOf(value: unknown, name: string): string {
  const text = fieldOf(value, name)
  return typeof text === 'string' ? text : ''
}

/** Exact, or none: a number that is too large for that is not what the service has said. */
function wholeNumber(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined
  return typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : undefined
}
