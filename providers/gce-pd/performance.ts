import { VolumeExpansionError } from '../../src/errors.ts'
import { providerName } from './errors.ts'

/** Performance to be set together with the size, for disks whose performance is provisioned (Hyperdisk). */
export interface GcePdOptions {
  /** I/O operations per second. Left out: as it is, or the least that the new size needs. */
  readonly iops?: number
  /** MiB per second. Left out: as it is. */
  readonly throughput?: number
}

/** What decides how a disk is asked to grow. */
export interface Provisioned {
  /** Such as `hyperdisk-balanced`. */
  readonly type: string
  readonly iops?: number
  readonly throughput?: number
}

/** The fields of a change besides the size; undefined: the size alone is changed, which `disks.resize` does. */
export interface PerformanceChange {
  readonly iops?: number
  readonly throughput?: number
}

/**
 * The least IOPS of a disk of that type and size (gcp-compute-persistent-disk-csi-driver#2054): Balanced 3,000 from 6 GiB on and 500 per GiB below, Extreme 2 per
 * GiB. Undefined where no rule is known: what the API says then is believed.
 */
function leastIops(type: string, sizeGb: bigint): number | undefined {
  if (type === 'hyperdisk-balanced') return Math.min(3000, 500 * Number(sizeGb))
  return type === 'hyperdisk-extreme' ? 2 * Number(sizeGb) : undefined
}

/** The performance that has to be changed in the same call as the size. A least value rises with the size, and is never lowered here. */
export function performanceFor(
  disk: Provisioned,
  sizeGb: bigint,
  options: GcePdOptions | undefined,
): PerformanceChange | undefined {
  const least = leastIops(disk.type, sizeGb)
  const needed = disk.iops !== undefined && least !== undefined && disk.iops < least ? least : undefined
  const iops = options?.iops ?? needed
  const throughput = options?.throughput
  if (iops === undefined && throughput === undefined) return undefined
  return { ...(iops === undefined ? {} : { iops }), ...(throughput === undefined ? {} : { throughput }) }
}

/** The IOPS that a refusal names (`Requested provisioned IOPS cannot be smaller than 3000.`), for types whose rule is not known here. */
export function iopsDemandedBy(message: string): number | undefined {
  const number = /provisioned IOPS cannot be smaller than (\d+)/.exec(message)?.[1]
  return number === undefined ? undefined : Number(number)
}

/** @throws {VolumeExpansionError} `invalid-request` */
export function checkOptions(options: GcePdOptions | undefined): void {
  for (const value of [options?.iops, options?.throughput]) {
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue
    throw new VolumeExpansionError('invalid-request', 'IOPS and throughput are whole numbers above 0.', {
      ...{
        layer: 'volume',
        provider: providerName,
        outcome: 'unchanged',
        remedy: 'Leave them out to keep what the disk has.',
      },
    })
  }
}
