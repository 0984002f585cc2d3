import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot } from '../../hosts/host.ts'
import type { blockerOf } from '../mapped.ts'
import { readLabel } from './label.ts'
import type { LogicalVolume, VolumeGroup } from './report.ts'
import type { Room } from './rooms.ts'

type Blocker = ReturnType<typeof blockerOf>

/**
 * Why nothing in a volume group may be changed. LVM refuses most of it by itself, but only once it is asked to change something, when the volume below has already
 * been paid for.
 */
export function groupFindings(
  { name, exported, partial, shared, writable }: VolumeGroup,
  namesakes: number,
  duplicates: readonly string[],
  blocker: Blocker,
): readonly Finding[] {
  const findings: Finding[] = []
  if (duplicates.length > 0) {
    findings.push(
      blocker(
        'duplicate-uuid',
        `${duplicates.join(', ')} has the same UUID as a physical volume of ${name}: it is a copy of its disk.`,
        'Detach the copy, or give it UUIDs of its own with vgimportclone.',
      ),
    )
  }
  if (namesakes > 1) {
    findings.push(
      blocker(
        'duplicate-uuid',
        `There are ${namesakes} volume groups with the name ${name}.`,
        'Rename the other one by its UUID: vgrename UUID NAME.',
      ),
    )
  }
  if (exported) {
    findings.push(blocker('wrong-state', `The volume group ${name} is exported.`, `Import it first: vgimport ${name}.`))
  }
  if (partial) {
    findings.push(
      blocker(
        'wrong-state',
        `Physical volumes of ${name} are missing: LVM changes nothing in an incomplete group.`,
        `Bring them back, or take them out: vgreduce --removemissing ${name}.`,
      ),
    )
  }
  if (shared) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The volume group ${name} is shared with other hosts (lvmlockd or clustered).`,
        'Grow it with the tools of the cluster.',
      ),
    )
  }
  if (!writable) {
    findings.push(
      blocker('read-only', `The metadata of the volume group ${name} are read-only.`, 'Find out why they were set so.'),
    )
  }
  return findings
}

export function volumeFindings(
  { name, attributes, allocation }: LogicalVolume,
  group: VolumeGroup,
  device: DeviceSnapshot,
  blocker: Blocker,
): readonly Finding[] {
  const findings: Finding[] = []
  const full = `${group.name}/${name}`
  if (device.readOnly || attributes[1] === 'r') {
    findings.push(
      blocker(
        'read-only',
        `${full} is read-only: nothing on it could be grown.`,
        `Make it writable: lvchange -prw ${full}.`,
      ),
    )
  }
  // A capital letter: locked, as pvmove does it.
  if (/[A-Z]/.test(attributes[2] ?? '')) {
    findings.push(
      blocker(
        'wrong-state',
        `The allocation of ${full} is locked: pvmove is at work on it.`,
        'Let it finish (lvs -a shows its progress), then run this again.',
      ),
    )
  }
  const policy = allocation === 'inherit' ? group.allocation : allocation
  if (policy === 'contiguous') {
    findings.push(
      blocker(
        'unsupported-feature',
        `${full} is to be allocated contiguously, and whether the extents right behind it are free is not known here.`,
        `Extend it yourself, or set another policy: lvchange --alloc inherit ${full}.`,
      ),
    )
  }
  return findings
}

export function roomFindings(rooms: readonly Room[], blocker: Blocker): readonly Finding[] {
  const findings: Finding[] = []
  for (const { physical, device } of rooms) {
    if (readLabel(device) === undefined) {
      findings.push(
        blocker(
          'unknown-content',
          `The label of the physical volume ${physical.name} could not be read on ${device.path}.`,
          'Run this with the right to read the device, and look at it with pvck.',
        ),
      )
    }
    if (!physical.allocatable) {
      findings.push(
        blocker(
          'wrong-state',
          `Nothing may be allocated on the physical volume ${physical.name}.`,
          `Allow it again: pvchange --allocatable y ${physical.name}.`,
        ),
      )
    }
    if (device.readOnly) {
      findings.push(
        blocker('read-only', `${physical.name} is read-only.`, `Make it writable: blockdev --setrw ${physical.name}.`),
      )
    }
  }
  return findings
}
