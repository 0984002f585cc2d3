import { fromPersistentVolumeOf, type Provider, type Volume, volumeOf } from '../../src/expander.ts'
import { commandClient, type RbdCluster } from './commands.ts'
import { dashboardClient, type RbdDashboard } from './dashboard.ts'
import { rbdExpander } from './expander.ts'
import type { RbdImage, RbdRef } from './ref.ts'

export type { RbdCluster, RbdDashboard, RbdImage, RbdRef }

/** One way to the cluster; left out: the commands of this machine. */
export type RbdOptions =
  | { readonly cluster?: RbdCluster; readonly dashboard?: never }
  | { readonly dashboard: RbdDashboard; readonly cluster?: never }

/** Images of a Ceph cluster. */
export interface RbdProvider extends Provider {
  /**
   * The image. It has to exist before it is grown; what is added reads as zeros and takes no room until it is written.
   *
   * @param ref `'pool/image'`, `'pool/namespace/image'` or the parts; the pool is never guessed
   * @throws {VolumeExpansionError} `invalid-reference`: a part is missing or empty, or holds `/`, `@` or a control character
   */
  volume(ref: RbdRef): Volume
}

/**
 * The provider of Ceph's block devices. With `cluster` it speaks through the commands `rbd` and `ceph` of a host, and `rbd` itself refuses to shrink below the size
 * that it found when it opened the image: two tools that grow one image in the same milliseconds can leave it with the smaller of their sizes (seen with Ceph 16.2). With `dashboard` it needs no program, but that API resizes to exactly what it is told: it has no guard.
 *
 * Images that Cinder, ceph-csi, Nova or Proxmox made are refused with `owned-elsewhere`, which a request can accept.
 *
 * @throws {TypeError} for both ways at once, and for options that cannot be right
 */
export function rbd(options: RbdOptions = {}): RbdProvider {
  const { cluster, dashboard } = options
  if (cluster !== undefined && dashboard !== undefined) throw new TypeError('Give `cluster` or `dashboard`, not both.')
  const expander = rbdExpander(dashboard === undefined ? commandClient(cluster ?? {}) : dashboardClient(dashboard))
  return {
    name: expander.name,
    volume: (ref) => volumeOf(expander, ref),
    fromPersistentVolume: fromPersistentVolumeOf(expander),
  }
}
