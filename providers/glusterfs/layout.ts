import { type Bytes, bytes } from '../../src/size.ts'
import type { XmlElement } from './xml.ts'

/** A brick as the pool knows it. */
export interface Brick {
  /** `server:/path`. */
  readonly name: string
  readonly server: string
  readonly path: string
  /** Id of the server in the pool. */
  readonly peer: string
  /** Keeps names only, no data. */
  readonly isArbiter: boolean
  /** Whether its process runs; undefined when its server did not say. */
  readonly online?: boolean
  /** The device that its server says it is on. */
  readonly device?: string
  /** Bytes that its filesystem shows; undefined: unknown, which is not zero. */
  readonly total?: Bytes
  readonly free?: Bytes
  /** How many bricks of this volume are on the same filesystem, itself among them; each counts only for its share. */
  readonly sharers: number
}

/** Bricks that hold the same data, or parts of it: what a file is in. */
export interface BrickSet {
  readonly bricks: readonly Brick[]
  /** How many bricks' room adds up: 1, and for dispersed sets those that are not redundancy. */
  readonly data: number
  /** Bytes; of the smallest brick that holds data. Undefined: of none of them is the size known. */
  readonly size?: Bytes
  readonly free?: Bytes
}

export type VolumeKind = 'distribute' | 'replicate' | 'disperse'

/** A volume as its pool has it. */
export interface Layout {
  readonly name: string
  readonly id: string
  readonly started: boolean
  readonly status: string
  readonly kind: VolumeKind
  readonly bricksPerSet: number
  readonly arbiters: number
  readonly redundancy: number
  readonly sets: readonly BrickSet[]
  readonly options: ReadonlyMap<string, string>
}

/** Reads the `<volume>` of `volume info` together with the `<volume>` of `volume status … detail`. Undefined when it is not whole. */
export function layoutOf(info: XmlElement, detail: XmlElement | undefined): Layout | undefined {
  const [name, id] = [info.text('name'), info.text('id')]
  if (name === undefined || id === undefined) return undefined
  const count = (field: string): number => Number(info.text(field) ?? '0')
  const disperse = count('disperseCount')
  const bricksPerSet = disperse > 0 ? disperse : Math.max(1, count('replicaCount'))
  const redundancy = disperse > 0 ? count('redundancyCount') : 0
  const told = new Map(
    (detail?.all('node') ?? []).map((node) => [`${node.text('peerid')}:${node.text('path')}`, node] as const),
  )
  const bricks = withSharers((info.at('bricks')?.all('brick') ?? []).map((brick) => brickOf(brick, told)))
  if (bricks.length === 0 || bricks.length % bricksPerSet !== 0) return undefined
  if (bricks.length !== count('brickCount')) return undefined
  const data = disperse > 0 ? disperse - redundancy : 1
  const sets = Array.from({ length: bricks.length / bricksPerSet }, (_, index) =>
    setOf(bricks.slice(index * bricksPerSet, (index + 1) * bricksPerSet), data),
  )
  const options = (info.at('options')?.all('option') ?? []).map(
    (option) => [option.text('name') ?? '', option.text('value') ?? ''] as const,
  )
  return {
    ...{ name, id, bricksPerSet, redundancy, sets, options: new Map(options), arbiters: count('arbiterCount') },
    started: info.text('status') === '1',
    status: info.text('statusStr') ?? 'unknown',
    kind: disperse > 0 ? 'disperse' : bricksPerSet > 1 ? 'replicate' : 'distribute',
  }
}

function brickOf(brick: XmlElement, told: ReadonlyMap<string, XmlElement>): Omit<Brick, 'sharers'> {
  const name = brick.text('name') ?? ''
  const { server, path } = partsOf(name) ?? { server: '', path: '' }
  const peer = brick.text('hostUuid') ?? ''
  const node = told.get(`${peer}:${path}`)
  const [total, free] = [sizeIn(node, 'sizeTotal'), sizeIn(node, 'sizeFree')]
  const device = node?.text('device')
  return {
    ...{ name, server, path, peer, isArbiter: brick.text('isArbiter') === '1' },
    ...(node === undefined ? {} : { online: node.text('status') === '1' }),
    ...(device === undefined || !device.startsWith('/') ? {} : { device }),
    ...(total === undefined || total === 0n ? {} : { total }),
    ...(free === undefined ? {} : { free }),
  }
}

/** `server:/path` of a brick; IPv6 addresses have colons, so the first one before a slash divides. */
export function partsOf(name: string): { readonly server: string; readonly path: string } | undefined {
  const divider = name.indexOf(':/')
  if (divider < 1) return undefined
  const [server, path] = [name.slice(0, divider), name.slice(divider + 1)]
  return /^[\w.:%[\]-]+$/.test(server) && !server.startsWith('-') ? { server, path } : undefined
}

function sizeIn(node: XmlElement | undefined, field: string): Bytes | undefined {
  const text = node?.text(field)
  return text !== undefined && /^\d{1,19}$/.test(text) ? bytes(BigInt(text)) : undefined
}

// glusterd counts the same way (shared-brick-count): bricks of one volume on one filesystem of one server share its size.
function withSharers(bricks: readonly Omit<Brick, 'sharers'>[]): readonly Brick[] {
  return bricks.map((brick) => ({
    ...brick,
    sharers:
      brick.device === undefined
        ? 1
        : bricks.filter(({ peer, device }) => peer === brick.peer && device === brick.device).length,
  }))
}

function setOf(bricks: readonly Brick[], data: number): BrickSet {
  const holding = bricks.filter(({ isArbiter }) => !isArbiter)
  const shares = (pick: (brick: Brick) => Bytes | undefined): readonly bigint[] =>
    holding.flatMap((brick) => {
      const size = pick(brick)
      return size === undefined ? [] : [size / BigInt(brick.sharers)]
    })
  const [size, free] = [smallest(shares(({ total }) => total)), smallest(shares((brick) => brick.free))]
  return {
    ...{ bricks, data },
    ...(size === undefined ? {} : { size: bytes(size * BigInt(data)) }),
    ...(free === undefined ? {} : { free: bytes(free * BigInt(data)) }),
  }
}

function smallest(values: readonly bigint[]): bigint | undefined {
  return values.reduce<bigint | undefined>(
    (least, value) => (least === undefined || value < least ? value : least),
    undefined,
  )
}

/** Bytes of the volume: its sets together. Undefined when one of them is unknown. */
export function sizeOf({ sets }: Layout): Bytes | undefined {
  let sum = 0n
  for (const { size } of sets) {
    if (size === undefined) return undefined
    sum += size
  }
  return bytes(sum)
}

/** Bytes that the largest new file can have: it has to fit into one set. */
export function largestFile({ sets }: Layout): Bytes | undefined {
  const free = sets.flatMap(({ free: room }) => (room === undefined ? [] : [room]))
  return free.reduce<Bytes | undefined>((most, room) => (most === undefined || room > most ? room : most), undefined)
}

/**
 * Bytes that each set has to have so that the volume has `target`: the smallest sets that can grow are raised first, to one common level, since the hash gives each
 * the same share of the files. Sets that cannot grow stay as they are.
 */
export function levels(
  sets: readonly BrickSet[],
  canGrow: (set: BrickSet) => boolean,
  target: bigint,
): ReadonlyMap<BrickSet, bigint> {
  const wanted = new Map<BrickSet, bigint>(sets.map((set) => [set, set.size ?? 0n]))
  let missing = target - [...wanted.values()].reduce((sum, size) => sum + size, 0n)
  const rising = sets.filter(canGrow).sort((a, b) => ((a.size ?? 0n) < (b.size ?? 0n) ? -1 : 1))
  for (let count = 1; count <= rising.length && missing > 0n; count += 1) {
    const level = rising[count - 1]?.size ?? 0n
    const next = rising[count]?.size
    const even = (missing + BigInt(count) - 1n) / BigInt(count)
    const step = next === undefined || level + even < next ? even : next - level
    for (const set of rising.slice(0, count)) wanted.set(set, level + step)
    missing -= step * BigInt(count)
  }
  return wanted
}

/** Bytes that the filesystem of a brick has to show so that its set has `size`. */
export function brickSize(size: bigint, { data }: BrickSet, { sharers }: Brick): Bytes {
  const share = (size + BigInt(data) - 1n) / BigInt(data)
  return bytes(share * BigInt(sharers))
}
