import type { MountHints } from '../../src/hints.ts'
import type { Layout } from './layout.ts'

export function mountHints(name: string, layout: Layout | undefined): MountHints {
  const base = { type: 'fuse.glusterfs', export: name, exact: true } as const
  if (layout === undefined) return base
  // The connections of a client to the bricks tell the volume's id, or at the least which brick they go to (the meta translator). Which numbers they have depends on
  // the volume's past; the first set stays, whatever is added.
  const files = Array.from({ length: 16 }, (_, index) => {
    const options = `.meta/graphs/active/${name}-client-${index}/options`
    return [[`${options}/volume-id`], [`${options}/remote-host`, `${options}/remote-subvolume`]]
  }).flat()
  const bricks = layout.sets[0]?.bricks.map((brick) => brick.name) ?? []
  return { ...base, proof: { files, equals: [layout.id, ...bricks] } }
}
