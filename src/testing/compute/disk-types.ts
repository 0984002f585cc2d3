import { ApiFailure } from './answers.ts'

/** A disk type as `diskTypes.get` tells it. */
export interface EmulatedDiskType {
  /** In GB of 2^30 bytes, as in `validDiskSize`. */
  readonly least: number
  readonly most: number
}

/** From the tables of https://cloud.google.com/compute/docs/disks and of the pages of each Hyperdisk type. */
export const diskTypes: Readonly<Record<string, EmulatedDiskType>> = {
  'pd-standard': { least: 10, most: 65_536 },
  'pd-balanced': { least: 10, most: 65_536 },
  'pd-ssd': { least: 10, most: 65_536 },
  'pd-extreme': { least: 500, most: 65_536 },
  'hyperdisk-balanced': { least: 4, most: 65_536 },
  'hyperdisk-extreme': { least: 64, most: 65_536 },
}

export function validDiskSize({ least, most }: EmulatedDiskType): string {
  return `${least}GB-${most}GB`
}

/**
 * The least and most IOPS of a Hyperdisk of that size, as gcp-compute-persistent-disk-csi-driver#2054 gives them: Balanced from 6 GiB on at least 3,000, below that
 * exactly 500 per GiB; Extreme at least 2 per GiB.
 */
function iopsBounds(type: string, sizeGb: number): { readonly least: number; readonly most: number } | undefined {
  if (type === 'hyperdisk-balanced') {
    const most = Math.min(500 * sizeGb, 160_000)
    return { least: Math.min(3000, most), most }
  }
  return type === 'hyperdisk-extreme' ? { least: 2 * sizeGb, most: 350_000 } : undefined
}

/** The default IOPS of a new disk of that size; undefined for types without provisioned IOPS. */
export function defaultIops(type: string, sizeGb: number): number | undefined {
  return iopsBounds(type, sizeGb)?.least
}

/** @throws {ApiFailure} with the text of gcp-compute-persistent-disk-csi-driver#1816 */
export function requireIops(type: string, sizeGb: number, iops: number | undefined): void {
  const bounds = iopsBounds(type, sizeGb)
  if (bounds === undefined || iops === undefined) return
  if (iops < bounds.least) {
    throw new ApiFailure(400, 'badRequest', `Requested provisioned IOPS cannot be smaller than ${bounds.least}.`)
  }
  if (iops > bounds.most) {
    throw new ApiFailure(400, 'badRequest', `Requested provisioned IOPS cannot be larger than ${bounds.most}.`)
  }
}
