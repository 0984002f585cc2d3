import { fromPersistentVolumeOf, type Provider, type Volume, volumeOf } from '../../src/expander.ts'
import { glusterExpander } from './expander.ts'
import { type HeketiOptions, heketiClient } from './heketi/client.ts'
import { heketiExpander } from './heketi/expander.ts'
import type { GlusterGrowth, GlusterOptions } from './options.ts'

export type { HeketiOptions } from './heketi/client.ts'
export type { BrickNeed, GlusterGrowth, GlusterOptions } from './options.ts'

/** Volumes of a trusted pool. */
export interface GlusterProvider extends Provider {
  /**
   * The volume of this name. Without `growth` its bricks grow with what is below them on their servers, which have to be among `hosts`.
   *
   * @throws {VolumeExpansionError} `invalid-reference`: no name that a volume can have
   */
  volume(name: string, growth?: GlusterGrowth): Volume
}

/** Volumes that Heketi manages. */
export interface HeketiProvider extends Provider {
  /**
   * The volume with this id, which Kubernetes keeps in the annotation `gluster.kubernetes.io/heketi-volume-id` of its PersistentVolume.
   *
   * @throws {VolumeExpansionError} `invalid-reference`: no id of Heketi's
   */
  volume(
    id: string,
    options?: { /** A block volume, which hosts have as an iSCSI device. */ readonly block?: boolean },
  ): Volume
}

/**
 * The provider of GlusterFS volumes: through `gluster` on a server of the pool (`host`), or through Heketi's REST API (`heketi`), for the volumes that Heketi manages.
 * On a client nothing has to grow: with a host and the path of a FUSE mount, what its users see is verified.
 *
 * @throws {TypeError} when it is given neither of the two, or both
 */
export function glusterfs(options: { readonly heketi: HeketiOptions }): HeketiProvider
export function glusterfs(options: GlusterOptions): GlusterProvider
export function glusterfs(
  options: GlusterOptions | { readonly heketi: HeketiOptions },
): GlusterProvider | HeketiProvider {
  if ('heketi' in options && !('host' in options)) {
    const client = heketiClient(options.heketi)
    const [file, block] = [heketiExpander(client, 'volumes'), heketiExpander(client, 'blockvolumes')]
    return {
      name: file.name,
      fromPersistentVolume: fromPersistentVolumeOf(file),
      volume: (id: string, kind?: { readonly block?: boolean }) => volumeOf(kind?.block === true ? block : file, id),
    }
  }
  if (!('host' in options) || 'heketi' in options) throw new TypeError('Give either `host` or `heketi`.')
  const expander = glusterExpander(options)
  return {
    name: expander.name,
    fromPersistentVolume: fromPersistentVolumeOf(expander),
    volume: (name: string, growth: GlusterGrowth = {}) => volumeOf(expander, { ...growth, name }),
  }
}
