import { type Bytes, bytes } from '../../size.ts'
import { deviceAttributes, parseUevent, parseUnitSerial, partitionAttributes, ueventAttributes } from '../sysfs.ts'
import { blockId, type StorageSource } from './source.ts'

/** What sysfs tells of a block device. */
export interface BlockDevice {
  readonly id: string
  readonly name: string
  /** The node to use; one that is not this device is never taken, whatever its name. */
  readonly path: string
  /** The inode of the node, which is what a flock is held on; undefined when there is no such node. */
  readonly node: { readonly dev: string; readonly ino: bigint } | undefined
  readonly size: Bytes
  readonly readOnly: boolean
  readonly attributes: Readonly<Record<string, string>>
  readonly below: readonly string[]
  readonly holders: readonly string[]
  readonly partitions: readonly string[]
}

/**
 * Reads a block device from sysfs; undefined when there is none of that number (any longer).
 *
 * @param given a node by which the caller knows the device, for hosts whose /dev does not have it under the kernel's name
 */
export function readBlockDevice(source: StorageSource, id: string, given?: string): BlockDevice | undefined {
  const directory = `/sys/dev/block/${id}`
  const entries = new Set(source.list(directory))
  const uevent = parseUevent(source.text(`${directory}/uevent`) ?? '')
  const sectors = source.text(`${directory}/size`)?.trim()
  const name = uevent.get('DEVNAME')
  if (name === undefined || sectors === undefined || !/^\d+$/.test(sectors)) return undefined
  const { path, node } = nodeOf(source, id, name, given)
  const partitions = [...entries].filter((entry) => isPartition(source, directory, entry, name))
  const attributes = {
    ...readAttributes(source, directory, entries, uevent),
    ...partitionsOf(source, directory, partitions),
  }
  return {
    ...{ id, name: name.replaceAll('/', '!'), path, node, attributes },
    // The kernel counts in units of 512 bytes, whatever the device's own sectors are.
    size: bytes(BigInt(sectors) * 512n),
    readOnly: attributes['ro'] === '1',
    below: belowOf(source, directory, entries),
    holders: entries.has('holders') ? source.list(`${directory}/holders`) : [],
    partitions,
  }
}

function isPartition(source: StorageSource, directory: string, entry: string, disk: string): boolean {
  return entry.startsWith(disk.replaceAll('/', '!')) && source.text(`${directory}/${entry}/partition`) !== undefined
}

/** Where the partitions of a disk are, so that it is known which one is the last. */
function partitionsOf(source: StorageSource, directory: string, names: readonly string[]): Record<string, string> {
  const paths = names.flatMap((name) => partitionAttributes.map((attribute) => `${name}/${attribute}`))
  return Object.fromEntries(
    paths.flatMap((path) => {
      const text = source.text(`${directory}/${path}`)?.trim()
      return text === undefined ? [] : [[path, text]]
    }),
  )
}

function belowOf(source: StorageSource, directory: string, entries: ReadonlySet<string>): readonly string[] {
  const slaves = entries.has('slaves')
    ? source.list(`${directory}/slaves`).map((slave) => `${directory}/slaves/${slave}`)
    : []
  // The link is resolved before the dots, so that they lead to the disk's own directory.
  const all = entries.has('partition') ? [`${directory}/..`, ...slaves] : slaves
  return all.map((path) => source.text(`${path}/dev`)?.trim()).filter((id) => id !== undefined)
}

function nodeOf(
  source: StorageSource,
  id: string,
  name: string,
  given: string | undefined,
): Pick<BlockDevice, 'path' | 'node'> {
  for (const path of [`/dev/${name}`, given, `/dev/block/${id}`]) {
    const stats = path === undefined ? undefined : source.node(path)
    if (path !== undefined && stats !== undefined && blockId(stats) === id) {
      return { path, node: { dev: stats.dev, ino: stats.ino } }
    }
  }
  return { path: `/dev/${name}`, node: undefined }
}

function readAttributes(
  source: StorageSource,
  directory: string,
  entries: ReadonlySet<string>,
  uevent: ReadonlyMap<string, string>,
): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [below, names] of Object.entries(deviceAttributes)) {
    if (below !== '' && !entries.has(below)) continue
    const prefix = below === '' ? '' : `${below}/`
    // What the device's driver shows differs; the kernel's own directories have all of their attributes.
    const there = below === '' ? entries : below === 'device' ? new Set(source.list(`${directory}/device`)) : undefined
    for (const name of names) {
      if (there?.has(name) === false) continue
      const known = below === '' ? uevent.get(ueventAttributes[name] ?? '') : undefined
      // White space may belong to a path, so that only the kernel's own line end is taken off.
      const text = known ?? source.text(`${directory}/${prefix}${name}`)?.replace(/\n$/, '')
      if (text !== undefined) found[`${prefix}${name}`] = text
    }
    // SCSI disks tell their serial number by a page of bytes only.
    const serial =
      there?.has('vpd_pg80') === true ? unitSerial(source.bytes(`${directory}/${prefix}vpd_pg80`)) : undefined
    if (serial !== undefined) found[`${prefix}vpd_pg80`] = serial
  }
  return found
}

function unitSerial(page: Uint8Array | undefined): string | undefined {
  return page === undefined ? undefined : parseUnitSerial(page)
}
