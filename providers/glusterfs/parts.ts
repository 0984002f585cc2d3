import type { PartRequest } from '../../src/expander.ts'
import type { Host } from '../../src/hosts/host.ts'
import type { Bytes } from '../../src/size.ts'
import { type Brick, type BrickSet, brickSize, type Layout, levels } from './layout.ts'
import type { GlusterVolumeRef } from './options.ts'

export type HostOf = (server: string, peer?: string) => Host | undefined

export function holding(set: BrickSet | undefined): readonly Brick[] {
  return (set?.bricks ?? []).filter(({ isArbiter }) => !isArbiter)
}

/** The filesystems of all bricks that have to grow: one request for each, whatever number of bricks is on it. */
export function partsOf(
  layout: Layout,
  { brickVolumes = {} }: GlusterVolumeRef,
  hostOf: HostOf,
): readonly PartRequest[] {
  const canGrow = (set: BrickSet): boolean =>
    holding(set).every(({ server, peer }) => hostOf(server, peer) !== undefined)
  const requests = new Map<string, PartRequest>()
  for (const set of layout.sets.filter(canGrow)) {
    for (const brick of holding(set)) {
      const place = `${brick.peer}:${brick.device ?? brick.path}`
      const partHost = hostOf(brick.server, brick.peer)
      if (partHost === undefined) continue
      const earlier = requests.get(place)
      const volume = (Object.hasOwn(brickVolumes, brick.name) ? brickVolumes[brick.name] : undefined) ?? earlier?.volume
      requests.set(place, {
        label: earlier?.label ?? brick.name,
        host: partHost,
        path: earlier?.path ?? brick.path,
        to: (size) =>
          largestOf(brickSize(levels(layout.sets, canGrow, size).get(set) ?? 0n, set, brick), earlier?.to?.(size)),
        ...(volume === undefined ? {} : { volume }),
      })
    }
  }
  return [...requests.values()]
}

function largestOf(one: Bytes, other: Bytes | undefined): Bytes {
  return other !== undefined && other > one ? other : one
}
