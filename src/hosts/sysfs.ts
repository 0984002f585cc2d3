/** The `KEY=value` lines of a device's `uevent` file. */
export function parseUevent(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=')
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1))
  }
  return values
}

/**
 * The serial number in a SCSI device's `vpd_pg80`: the Unit Serial Number page of SPC, a 4-byte header whose last two bytes are the length, then ASCII.
 */
export function parseUnitSerial(page: Uint8Array): string | undefined {
  if (page.length < 4 || page[1] !== 0x80) return undefined
  const length = ((page[2] ?? 0) << 8) | (page[3] ?? 0)
  const text = Array.from(page.subarray(4, 4 + length), (code) =>
    code < 32 || code > 126 ? ' ' : String.fromCharCode(code),
  )
  const serial = text.join('').trim()
  return serial === '' ? undefined : serial
}

/** A world wide name without the prefixes by which sysfs and udev spell it differently: `naa.5000…`, `eui.0025…`, `0x5000…`, `wwn-0x5000…`. */
export function normalizeWwn(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^wwn-/, '')
    .replace(/^(?:naa\.|eui\.|uuid\.|nvme\.|t10\.|0x)/, '')
}

/** The attributes that are read where they exist, by the directory below the device's own. */
export const deviceAttributes: Readonly<Record<'' | 'dm' | 'loop' | 'md' | 'device' | 'queue', readonly string[]>> = {
  '': ['diskseq', 'partition', 'start', 'ro', 'serial', 'wwid', 'nguid', 'eui'],
  dm: ['name', 'uuid', 'suspended'],
  loop: ['backing_file', 'offset', 'sizelimit', 'autoclear'],
  md: ['level', 'metadata_version'],
  // The second half is what krbd shows of the image that it has mapped (Documentation/ABI/testing/sysfs-bus-rbd).
  device: [
    ...['vendor', 'model', 'serial', 'wwid', 'state', 'type'],
    ...['pool', 'pool_ns', 'name', 'image_id', 'current_snap', 'cluster_fsid'],
  ],
  queue: ['logical_block_size'],
}

/** What is read of each partition of a disk: the attributes `<partition>/start` and so on of the disk, in units of 512 bytes. */
export const partitionAttributes: readonly string[] = ['partition', 'start', 'size']

/** The attributes that the kernel repeats in `uevent`, which is read in any case. */
export const ueventAttributes: Readonly<Record<string, string>> = { diskseq: 'DISKSEQ', partition: 'PARTN' }
