import type { Limit } from '../../src/expander.ts'
import { bytes, GiB, maxSize } from '../../src/size.ts'

/**
 * The largest sizes in GiB where the disk type could not be read: from the tables of https://cloud.google.com/compute/docs/disks and of the pages of each Hyperdisk type.
 * Types that are not here have no limit that is known.
 */
const dated: ReadonlyMap<string, bigint> = new Map([
  ['pd-standard', 65_536n],
  ['pd-balanced', 65_536n],
  ['pd-ssd', 65_536n],
  ['pd-extreme', 65_536n],
  ['hyperdisk-balanced', 65_536n],
  ['hyperdisk-extreme', 65_536n],
])
const asOf = '2026-11-23'

/** The largest size in GiB of a `validDiskSize` such as `10GB-65536GB` or `500GB-64TB`; GB are of 2^30 bytes here. */
export function mostOf(validDiskSize: unknown): bigint | undefined {
  const [, number, unit] = /-\s*(\d+)\s*(GB|TB)$/.exec(typeof validDiskSize === 'string' ? validDiskSize : '') ?? []
  return number === undefined ? undefined : BigInt(number) * (unit === 'TB' ? 1024n : 1n)
}

/** @param most GiB, as the disk type itself says; undefined when it could not be read */
export function limitsOf(type: string, most: bigint | undefined): readonly Limit[] {
  if (most !== undefined)
    return [
      {
        what: 'size',
        most: most < maxSize / GiB ? bytes(most * GiB) : maxSize,
        source: `validDiskSize of the disk type ${type}`,
      },
    ]
  const known = dated.get(type)
  if (known === undefined) return []
  return [{ what: 'size', most: bytes(known * GiB), source: 'https://cloud.google.com/compute/docs/disks', asOf }]
}
