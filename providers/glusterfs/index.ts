import { type Volume, volumeOf } from '../../src/expander.ts'
import { glusterExpander } from './expander.ts'
import type { GlusterGrowth, GlusterOptions } from './options.ts'

export type { BrickNeed, GlusterGrowth, GlusterOptions } from './options.ts'

/** Volumes of a trusted pool. */
export interface GlusterProvider {
  volume(name: string, growth?: GlusterGrowth): Volume
}

export function glusterfs(options: GlusterOptions): GlusterProvider {
  const expander = glusterExpander(options)
  return { volume: (name, growth = {}) => volumeOf(expander, { ...growth, name }) }
}
