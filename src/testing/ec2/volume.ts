import { Ec2Fault } from './fault.ts'
import { changed, defaults, type Ec2VolumeType, type Shape, type ShapeRequest } from './types.ts'

export interface Ec2Attachment {
  readonly instanceId: string
  /** As EC2 calls it, such as `/dev/sdf`. */
  readonly device: string
  /** Left out: false. A root volume is deleted with its instance unless that is changed. */
  readonly deleteOnTermination?: boolean
}

export interface Ec2VolumeOptions {
  /** GiB. */
  readonly size: number
  /** Left out: gp3. */
  readonly type?: Ec2VolumeType
  readonly iops?: number
  /** MiB/s. */
  readonly throughput?: number
  readonly encrypted?: boolean
  readonly multiAttach?: boolean
  readonly attachments?: readonly Ec2Attachment[]
  /** Left out: `in-use` with attachments, else `available`. */
  readonly status?: 'creating' | 'available' | 'in-use' | 'deleting' | 'error'
  /** A service that manages the volume, such as EKS Auto Mode: nobody else may modify it. */
  readonly managedBy?: string
  /** Left out: the emulator's. */
  readonly region?: string
  /** Milliseconds in `modifying`. Left out: the emulator's. */
  readonly modifying?: number
  /** Milliseconds in `optimizing`. Left out: the emulator's. */
  readonly optimizing?: number
  /** How many of the next modifications are accepted and then fail. Left out: 0. */
  readonly failing?: number
}

/** One modification, with its whole course: what is seen of it depends only on the time. */
export interface Modification {
  readonly original: Shape
  readonly target: Shape
  /** As the clock counts. */
  readonly start: number
  readonly optimizingAt: number
  readonly completedAt: number
  readonly fails: boolean
}

export type ModificationState = 'modifying' | 'optimizing' | 'completed' | 'failed'

const day = 24 * 3600 * 1000
/** Amazon EBS User Guide, "Modify an EBS volume": four in any 24 hours, since January 2026. */
const mostPerDay = 4

/** A volume whose modifications go modifying → optimizing → completed, or modifying → failed. */
export class Ec2Volume {
  readonly id: string
  readonly region: string
  readonly options: Ec2VolumeOptions
  readonly modifications: Modification[] = []
  readonly #first: Shape
  #failing: number

  constructor(id: string, region: string, options: Ec2VolumeOptions) {
    const type = options.type ?? 'gp3'
    const usual = defaults(type)
    this.id = id
    this.region = options.region ?? region
    this.options = options
    this.#failing = options.failing ?? 0
    this.#first = {
      type,
      size: options.size,
      iops: options.iops ?? usual.iops,
      throughput: options.throughput ?? usual.throughput,
      multiAttach: options.multiAttach ?? false,
    }
  }

  get status(): string {
    const { status, attachments = [] } = this.options
    return status ?? (attachments.length > 0 ? 'in-use' : 'available')
  }

  /** What can be used then: a modification takes effect when it has become `optimizing` (EBS User Guide, "Monitor the progress of volume modifications"). */
  shape(at: number): Shape {
    const effective = this.modifications.findLast(({ fails, optimizingAt }) => !fails && at >= optimizingAt)
    return effective?.target ?? this.#first
  }

  /** What had been begun by then, the newest last. */
  history(at: number): readonly Modification[] {
    return this.modifications.filter(({ start }) => start <= at)
  }

  /** What ModifyVolume would make of it now. @throws {Ec2Fault} when it would be refused */
  judge(request: ShapeRequest, now: number): Shape {
    if (this.options.managedBy !== undefined) {
      throw new Ec2Fault(
        'OperationNotPermitted',
        `The volume '${this.id}' is managed by ${this.options.managedBy} and cannot be modified.`,
      )
    }
    if (!['available', 'in-use'].includes(this.status)) {
      throw new Ec2Fault('IncorrectState', `The volume '${this.id}' is in the state '${this.status}'.`)
    }
    const newest = this.modifications.at(-1)
    const state = newest && stateOf(newest, now)
    if (state === 'modifying' || state === 'optimizing') {
      throw new Ec2Fault(
        'IncorrectModificationState',
        `Volume '${this.id}' cannot be modified in modification state '${state.toUpperCase()}'.`,
      )
    }
    if (this.modifications.filter(({ start }) => start > now - day).length >= mostPerDay) {
      throw new Ec2Fault(
        'VolumeModificationRateExceeded',
        "You've reached the maximum modification rate per volume limit. Wait until fewer than 4 modifications lie within 24 hours.",
      )
    }
    return changed(this.shape(now), request)
  }

  modify(target: Shape, now: number, times: { readonly modifying: number; readonly optimizing: number }): Modification {
    const fails = this.#failing > 0
    if (fails) this.#failing -= 1
    const optimizingAt = now + (this.options.modifying ?? times.modifying)
    const completedAt = optimizingAt + (this.options.optimizing ?? times.optimizing)
    const modification = { original: this.shape(now), target, start: now, optimizingAt, completedAt, fails }
    this.modifications.push(modification)
    return modification
  }
}

export function stateOf({ fails, optimizingAt, completedAt }: Modification, at: number): ModificationState {
  if (at < optimizingAt) return 'modifying'
  if (fails) return 'failed'
  return at < completedAt ? 'optimizing' : 'completed'
}

/** Percent. It counts through `optimizing` too, and is 100 only in the end. */
export function progressOf(modification: Modification, at: number): number {
  if (stateOf(modification, at) === 'completed') return 100
  const { start, completedAt } = modification
  return Math.min(99, Math.max(0, Math.floor(((at - start) / Math.max(1, completedAt - start)) * 100)))
}
