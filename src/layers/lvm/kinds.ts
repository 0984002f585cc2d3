import type { DeviceSnapshot } from '../../hosts/host.ts'
import { nameOf, uuidOf } from '../mapped.ts'
import type { LogicalVolume } from './report.ts'

/** What the first bit of `lv_attr` says (lvs(8)), for all that is not a plain volume. */
const kinds: Readonly<Record<string, string>> = {
  C: 'a cached volume',
  m: 'a mirror',
  M: 'a mirror',
  o: 'the origin of a snapshot, which can be resized only while it is inactive',
  O: 'the origin of a snapshot that is being merged',
  r: 'a RAID volume, which needs room on every leg',
  R: 'a RAID volume, which needs room on every leg',
  s: 'a snapshot',
  S: 'a snapshot that is being merged',
  p: 'being moved by pvmove',
  v: 'a virtual volume',
  V: 'a thin or VDO volume, whose size promises room that its pool need not have',
  t: 'a thin pool',
  d: 'a VDO pool',
  c: 'being converted',
}

/** What it is when it is no volume that is grown here: its data must lie in extents of physical volumes, one after the other or striped. */
export function specialKind({ attributes, segments }: LogicalVolume): string | undefined {
  const [kind = ''] = attributes
  if (kind !== '-') return kinds[kind] ?? 'of a kind that is not handled'
  const other = segments.find(({ type }) => type !== 'linear' && type !== 'striped')
  if (other !== undefined) return `of the type ${other.type}`
  if (segments.some(({ on }) => on.some((place) => !place.startsWith('/')))) return 'partly on other logical volumes'
  return segments.length === 0 ? 'without a segment' : undefined
}

const hiddenName =
  /_(r(?:image|meta)_\d+|t(?:data|meta)|c(?:data|meta|vol|orig)|wcorig|vdata|m(?:image_\d+|log)|i(?:meta|orig))$/

/** What a hidden volume is a part of, by the ends that LVM gives to UUIDs and names. */
export function hiddenPart(device: DeviceSnapshot): string {
  const [, layer] = /^LVM-[A-Za-z0-9]{64}-(.+)$/.exec(uuidOf(device)) ?? []
  const text = layer ?? hiddenName.exec(nameOf(device))?.[1] ?? ''
  if (/^t(?:data|meta|pool)$|^pool$/.test(text)) return 'a thin pool'
  if (/^r(?:image|meta)/.test(text)) return 'a RAID volume'
  if (text === 'real' || text === 'cow') return 'a volume with a snapshot'
  if (/^(?:cdata|cmeta|cvol|corig|wcorig|cpool)$/.test(text)) return 'a cached volume'
  if (/^m(?:image|log)/.test(text)) return 'a mirror'
  if (/^v(?:data|pool)/.test(text)) return 'a VDO pool'
  return 'another logical volume'
}
