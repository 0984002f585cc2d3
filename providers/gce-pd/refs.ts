import type { VolumeIdentity } from '../../src/expander.ts'
import { fieldOf, invalidReference } from './errors.ts'

/** A disk by its place and name. */
export interface GceDisk {
  readonly disk: string
  /** A zone or a region, and not both: names are unique only within one. */
  readonly zone?: string
  readonly region?: string
  /** Left out: the provider's project. */
  readonly project?: string
  /**
   * The name under which the instance has the disk. Left out: read from the instance, which needs `compute.instances.get` and `compute.instances.list`. It says how the
   * host recognises the device, and is no part of the disk's identity.
   */
  readonly deviceName?: string
  /** How the instance has the disk, where `deviceName` is given. Left out: `SCSI`. */
  readonly interface?: 'SCSI' | 'NVME'
}

/** `{ zone, disk }`, `{ region, disk }`, or a link: `projects/P/zones/Z/disks/D`, with or without `https://…/compute/v1/` before it. */
export type GceDiskRef = string | GceDisk

/** Where a disk is. */
export type Place = { readonly zone: string } | { readonly region: string }

/** A ref in one canonical form. */
export interface DiskName {
  readonly project: string
  readonly place: Place
  readonly disk: string
  readonly deviceName?: string
  readonly interface?: 'SCSI' | 'NVME'
}

// RFC 1035 labels, as the API reference has it for names; projects may carry a domain before a colon.
const label = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const projectName = /^(?:[a-z0-9.-]+:)?[a-z0-9][-a-z0-9]{0,62}$/
const link =
  /^(?:https?:\/\/[^/?#]+\/(?:compute\/)?(?:v1|beta|alpha)\/|\/?)projects\/([^/?#]+)\/(zones|regions)\/([^/?#]+)\/disks\/([^/?#]+)$/

export function placePath(place: Place): string {
  return 'zone' in place ? `zones/${place.zone}` : `regions/${place.region}`
}

/** @throws {VolumeExpansionError} `invalid-reference` */
export function diskNameOf(ref: unknown, project: string): DiskName {
  const { zone, region, disk, deviceName, interface: bus, ...own } = typeof ref === 'string' ? linked(ref) : given(ref)
  if (zone === undefined && region === undefined) {
    throw invalidReference(
      'neither a zone nor a region was given, and several may have a disk of that name',
      "Say which one is meant: { zone: 'europe-west1-b', disk } or { region: 'europe-west1', disk }.",
    )
  }
  if (zone !== undefined && region !== undefined)
    throw invalidReference('a disk is in a zone or in a region, not in both')
  const place: Place =
    zone === undefined ? { region: named(region, 'region', label) } : { zone: named(zone, 'zone', label) }
  if (bus !== undefined && bus !== 'SCSI' && bus !== 'NVME')
    throw invalidReference('its interface is neither SCSI nor NVME')
  return {
    place,
    project: named(own.project ?? project, 'project', projectName),
    disk: named(disk, 'name', label),
    ...(deviceName === undefined ? {} : { deviceName: named(deviceName, 'device name', /^[\w.-]{1,63}$/) }),
    ...(bus === undefined ? {} : { interface: bus }),
  }
}

type Parts = { readonly [Name in keyof GceDisk]?: unknown }

function linked(text: string): Parts {
  const match = link.exec(text)
  if (match === null) throw invalidReference('it is no link of a disk')
  const [, project, kind, place, disk] = match
  return { project, disk, ...(kind === 'zones' ? { zone: place } : { region: place }) }
}

function given(ref: unknown): Parts {
  if (typeof ref !== 'object' || ref === null || Array.isArray(ref))
    throw invalidReference('it is neither an object nor a link')
  return ref
}

function named(value: unknown, what: string, pattern: RegExp): string {
  if (typeof value === 'string' && pattern.test(value)) return value
  throw invalidReference(
    `${typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : `a value of the type ${typeof value}`} is no ${what}`,
  )
}

/** The canonical key of a disk within its scope: how the API names it within its project. */
export function keyOf({ place, disk }: DiskName): string {
  return `${placePath(place)}/disks/${disk}`
}

/** For people. */
export function whatIs(name: DiskName): string {
  return `disk ${name.disk} in ${placePath(name.place)} of ${name.project}`
}

export function scopeOf(name: DiskName, client: string): string {
  return `${client} projects/${name.project}/${placePath(name.place)}`
}

export function identityOf(name: DiskName, client: string): VolumeIdentity {
  return { scope: scopeOf(name, client), key: keyOf(name), label: `${name.project}/${keyOf(name)}` }
}

/** The CSI driver of persistent disks (https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver). */
const csiDriver = 'pd.csi.storage.gke.io'
const zoneLabels = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone', 'topology.gke.io/zone']

/**
 * The disk of a PersistentVolume: of the CSI driver by its handle (`projects/P/zones/Z/disks/D`; `UNSPECIFIED` for the project is the provider's), or of the in-tree
 * plug-in by `pdName`, whose zone stands in the volume's labels or its node affinity. A volume without a zone becomes a ref that is refused for just that.
 */
export function refOfPersistentVolume(persistentVolume: object): GceDiskRef | undefined {
  const spec = fieldOf(persistentVolume, 'spec')
  const csi = fieldOf(spec, 'csi')
  if (fieldOf(csi, 'driver') === csiDriver) {
    const handle = fieldOf(csi, 'volumeHandle')
    const match = typeof handle === 'string' ? link.exec(handle) : null
    if (match === null) return typeof handle === 'string' ? handle : undefined
    const [text, project, kind, place = '', disk = ''] = match
    if (project !== 'UNSPECIFIED') return text
    return kind === 'zones' ? { zone: place, disk } : { region: place, disk }
  }
  const name = fieldOf(fieldOf(spec, 'gcePersistentDisk'), 'pdName')
  if (typeof name !== 'string') return undefined
  return { ...placeIn(labelledZones(persistentVolume), affineZones(spec)), disk: name }
}

/** Where a disk is by the zones of its volume's labels and of its node affinity, which have to say the same; nothing where that is not one zone or one region for certain. */
function placeIn(labelled: readonly string[], affine: readonly string[]): Pick<GceDisk, 'zone' | 'region'> {
  const said = [labelled, affine].map((zones) => [...new Set(zones)].sort()).filter((zones) => zones.length > 0)
  const [zones = [], others = zones] = said
  const [zone, other, ...further] = zones
  if (
    zone === undefined ||
    further.length > 0 ||
    !zones.every((each) => label.test(each)) ||
    zones.join(' ') !== others.join(' ')
  )
    return {}
  if (other === undefined) return { zone }
  // A regional disk lists both of its zones, which share all of their name but what is behind the last hyphen.
  return regionOf(zone) === regionOf(other) ? { region: regionOf(zone) } : {}
}

function regionOf(zone: string): string {
  return zone.slice(0, Math.max(0, zone.lastIndexOf('-')))
}

function labelledZones(persistentVolume: object): readonly string[] {
  const labels = fieldOf(fieldOf(persistentVolume, 'metadata'), 'labels')
  // In labels two zones are joined by two underscores.
  return zoneLabels.flatMap((name) => {
    const value = fieldOf(labels, name)
    return typeof value === 'string' ? value.split('__') : []
  })
}

function affineZones(spec: unknown): readonly string[] {
  const terms = fieldOf(fieldOf(fieldOf(spec, 'nodeAffinity'), 'required'), 'nodeSelectorTerms')
  return (
    asArray(terms)
      .flatMap((term) => asArray(fieldOf(term, 'matchExpressions')))
      .filter((expression) => isZoneLabel(fieldOf(expression, 'key')) && fieldOf(expression, 'operator') === 'In')
      .flatMap((expression) => asArray(fieldOf(expression, 'values')))
      // What is no text names no zone, and then it is not known which zones they are.
      .map((value) => (typeof value === 'string' ? value : ''))
  )
}

function isZoneLabel(key: unknown): boolean {
  return typeof key === 'string' && zoneLabels.includes(key)
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
