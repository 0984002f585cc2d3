import { invalidReference } from './errors.ts'
import type { EbsVolumeType } from './limits.ts'

/** Performance and type that a volume gets together with its new size, in the one modification. */
export interface EbsVolumeOptions {
  /** Left out: as it is. */
  readonly type?: EbsVolumeType
  /** IOPS. Left out: as it is. */
  readonly iops?: number
  /** MiB/s. Left out: as it is. */
  readonly throughput?: number
  /**
   * What the instance runs on. On `xen` a device shows no serial, so that it is found by the name of its attachment alone (`/dev/sdf` is `/dev/xvdf` there). Left out:
   * nitro, where the serial proves which volume it is.
   */
  readonly hypervisor?: 'nitro' | 'xen'
}

/** A volume, with what is wished of it. */
export interface EbsReference extends EbsVolumeOptions {
  readonly id: string
}

export type EbsRef = string | EbsReference

const short = /^vol-([0-9a-f]{8}|[0-9a-f]{17})$/

/** @throws {VolumeExpansionError} `invalid-reference` */
export function referenceOf(ref: EbsRef): EbsReference {
  const given: EbsReference = typeof ref === 'string' ? { id: ref } : ref
  if (typeof given !== 'object' || given === null || typeof given.id !== 'string')
    throw invalidReference('it has no id')
  if (!short.test(given.id)) {
    const shown = given.id.length > 60 ? `${given.id.slice(0, 60)}…` : given.id
    throw invalidReference(`${JSON.stringify(shown)} is not vol- and 8 or 17 hexadecimal digits`)
  }
  return given
}

/** The volume of a PersistentVolume: of the CSI driver, or of the in-tree plugin (`aws://zone/vol-…`, `vol-…`). */
export function ofPersistentVolume(persistentVolume: object): string | undefined {
  const spec = field(persistentVolume, 'spec')
  const csi = field(spec, 'csi')
  const handle =
    field(csi, 'driver') === 'ebs.csi.aws.com'
      ? field(csi, 'volumeHandle')
      : field(field(spec, 'awsElasticBlockStore'), 'volumeID')
  if (typeof handle !== 'string') return undefined
  const id = handle.startsWith('aws://') ? handle.slice(handle.lastIndexOf('/') + 1) : handle
  return short.test(id) ? id : undefined
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}
