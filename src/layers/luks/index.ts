import { identityExpectations, locksOf, writing } from '../../filesystems/prescription.ts'
import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, StorageSnapshot } from '../../hosts/host.ts'
import { bytes, formatSize } from '../../size.ts'
import type { Growth, GrowthContext, KeyProof, Layer, LayerState, ToolNeed } from '../layer.ts'
import {
  availableOf,
  blockerOf,
  directlyBelow,
  mappingExpectations,
  nameOf,
  standing,
  suspended,
  truncated,
  uuidOf,
} from '../mapped.ts'
import { bytesAt } from '../probe.ts'
import { type LuksHeader, type LuksHeaderFailure, readLuksHeader, uuidField } from './header.ts'

const cryptsetup: ToolNeed = { name: 'cryptsetup', packages: 'cryptsetup-bin (Debian), cryptsetup (RPM)' }

/**
 * An open LUKS container, by `cryptsetup resize` without a size: it fills what is below, whatever that has become meanwhile. LUKS2 keeps its volume key in the
 * kernel's keyring, which device-mapper cannot hand back: the resize of such a mapping needs a key of the user (cryptsetup-resize(8)). Whether a mapping was opened
 * with `--disable-keyring` cannot be seen without its table, so that every LUKS2 asks for the key; LUKS1 never does.
 */
export const luks: Layer = {
  kind: 'luks',

  keyProof(device, snapshot): KeyProof | undefined {
    const mapping = mappingOf(device)
    const [below] = directlyBelow(device, snapshot)
    if (mapping === undefined || mapping.version === 1 || below === undefined) return undefined
    const command = [cryptsetup.name, 'open', '--test-passphrase', '--key-file', '-', '--', below.path]
    return { uuid: mapping.uuid, command, tools: [cryptsetup] }
  },

  detect: (device) => mappingOf(device) !== undefined,

  measure(device, snapshot): LayerState {
    const mapping = mappingOf(device)
    const [below] = directlyBelow(device, snapshot)
    const header = below === undefined ? undefined : readLuksHeader(below)
    const usable = header === undefined || 'failure' in header ? undefined : header
    return {
      id: layerId(device),
      kind: 'luks',
      label: `LUKS ${nameOf(device)}`,
      size: device.size,
      below: device.below,
      identity: { mapping: uuidOf(device), ...(mapping === undefined ? {} : { uuid: mapping.uuid }) },
      facts: {
        version: mapping?.version ?? 0,
        ...(usable === undefined ? {} : { offset: usable.offset, sectorSize: usable.sectorSize }),
      },
    }
  },

  grow: (device, snapshot, context) => grow(device, snapshot, context),
}

interface Mapping {
  readonly version: 1 | 2
  readonly uuid: string
}

/** What libcryptsetup calls its mappings: `CRYPT-LUKS2-<UUID without dashes>-<name>`. */
function mappingOf(device: DeviceSnapshot): Mapping | undefined {
  const match = /^CRYPT-LUKS([12])-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})-./.exec(
    uuidOf(device),
  )
  if (match === null) return undefined
  const [, version, ...parts] = match
  return { version: version === '1' ? 1 : 2, uuid: parts.join('-') }
}

function layerId({ id }: DeviceSnapshot): string {
  return `luks:${id}`
}

function grow(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): Growth {
  const { size } = device
  const blocker = blockerOf('luks', layerId(device))
  const siblings = directlyBelow(device, snapshot)
  const [below] = siblings
  const refused = (...findings: readonly Finding[]): Growth => standing(size, findings)
  if (below === undefined || siblings.length > 1) return refused(stacked(device, siblings, blocker))
  const available = availableOf(below, siblings, context) ?? context.available
  const header = readLuksHeader(below)
  if ('failure' in header || !belongs(header, device)) {
    // Without knowing where the data begin, only a container below that stays as it is leaves nothing to do.
    return available === below.size ? standing(size) : refused(unusable(device, below, header, blocker))
  }
  const { offset, sectorSize } = header
  const usable = available - offset
  if (usable < size) return refused(truncated(device, size + offset, available, blocker))
  const after = usable - (usable % BigInt(sectorSize))
  if (after === size) return standing(size)
  const findings = [...obstacles(device, header, usable, blocker), ...suspended(device, blocker)]
  if (findings.length > 0) return refused(...findings)
  return { ...prescription(device, below, snapshot, context), after: bytes(after), findings: [] }
}

function prescription(
  device: DeviceSnapshot,
  below: DeviceSnapshot,
  snapshot: StorageSnapshot,
  { key }: GrowthContext,
): Pick<Growth, 'expect' | 'commands' | 'tools' | 'summary'> {
  const uuid = bytesAt(below, uuidField.offset, uuidField.length) ?? new Uint8Array()
  const name = nameOf(device)
  // A key that was not asked for is never read.
  const keyed = key !== undefined && mappingOf(device)?.version === 2
  const command = [cryptsetup.name, 'resize', ...(keyed ? ['--key-file', '-'] : []), '--', name]
  return {
    expect: [
      ...identityExpectations(below, snapshot, { offset: uuidField.offset, bytes: uuid }),
      ...mappingExpectations(device),
    ],
    commands: [{ ...writing(command, locksOf(device, snapshot)), ...(keyed ? { stdin: key } : {}) }],
    tools: [cryptsetup, { name: 'flock', packages: 'util-linux' }],
    summary: `cryptsetup resize ${name}`,
  }
}

/** A header that is left on a disk may be that of an earlier use: only the mapping's own UUID makes it this one's. */
function belongs(header: LuksHeader, device: DeviceSnapshot): boolean {
  const mapping = mappingOf(device)
  return mapping !== undefined && header.version === mapping.version && header.uuid.toLowerCase() === mapping.uuid
}

type Blocker = ReturnType<typeof blockerOf>

function stacked(device: DeviceSnapshot, siblings: readonly DeviceSnapshot[], blocker: Blocker): Finding {
  return blocker(
    'unsupported-feature',
    `${nameOf(device)} stands on ${siblings.length === 0 ? 'nothing that could be seen' : siblings.map(({ path }) => path).join(' and ')}; a LUKS container is expected to be on one device.`,
    'Grow it with the tools of the system that made it.',
  )
}

function unusable(
  device: DeviceSnapshot,
  below: DeviceSnapshot,
  header: LuksHeader | LuksHeaderFailure,
  blocker: Blocker,
): Finding {
  const name = nameOf(device)
  if ('failure' in header && header.failure === 'unreadable') {
    return blocker(
      'permission-denied',
      `The LUKS header on ${below.path} could not be read (${header.reason}).`,
      'Run this with the right to read the device.',
    )
  }
  if ('failure' in header && header.failure === 'damaged') {
    return blocker(
      'unknown-content',
      `The LUKS header on ${below.path} is damaged: ${header.reason}.`,
      `Look at it with cryptsetup luksDump ${below.path}, and save what is open before the mapping is closed; cryptsetup repair may mend it.`,
    )
  }
  const what = 'failure' in header ? 'has no LUKS header' : `has the header of another container (${header.uuid})`
  return blocker(
    'unsupported-feature',
    `${below.path} ${what}, so that ${name} was opened with a detached header, or below another layer such as dm-integrity. Where its data begin is not known.`,
    `Grow what is below, then the mapping with cryptsetup resize --header FILE ${name}, then run this again for the rest.`,
  )
}

function obstacles(device: DeviceSnapshot, header: LuksHeader, usable: bigint, blocker: Blocker): readonly Finding[] {
  const name = nameOf(device)
  const feature = (message: string, remedy: string): readonly Finding[] => [
    blocker('unsupported-feature', message, remedy),
  ]
  switch (header.obstacle) {
    case 'integrity':
      return feature(
        `${name} checks its integrity (dm-integrity), whose tags were laid out for its size: it cannot be resized.`,
        'Make a larger container and copy the data.',
      )
    case 'reencryption':
      return [
        blocker(
          'wrong-state',
          `${name} is being re-encrypted, and cannot be resized until that is done.`,
          'Let it finish (cryptsetup reencrypt --resume-only), then run this again.',
        ),
      ]
    case 'unknown-requirement':
      return feature(
        `The LUKS header of ${name} requires something that is not known here.`,
        'Grow it with the cryptsetup of the system that made it.',
      )
    case 'several-segments':
      return feature(
        `The data of ${name} are not one encrypted segment.`,
        'Grow it with the cryptsetup of the system that made it.',
      )
    case undefined:
      break
    default:
      return header.obstacle satisfies never
  }
  if (header.size !== 'dynamic') {
    return feature(
      `The LUKS header of ${name} fixes its size at ${formatSize(header.size)}.`,
      'Make a container whose size follows its device, and copy the data.',
    )
  }
  if (usable % BigInt(header.sectorSize) !== 0n) {
    // Seen with cryptsetup 2.6: it refuses to resize, and, worse, a container on such a device cannot be opened again.
    return feature(
      `${name} is encrypted in sectors of ${header.sectorSize} bytes, and what is below it would end within one: it could not be opened again.`,
      `Choose a size below it that is a multiple of ${header.sectorSize} bytes.`,
    )
  }
  if (device.readOnly) {
    return [
      blocker(
        'read-only',
        `${name} is read-only: nothing on it could be grown.`,
        'Open it for reading and writing first.',
      ),
    ]
  }
  return []
}
