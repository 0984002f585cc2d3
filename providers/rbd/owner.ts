import type { ImageName } from './ref.ts'

/** A system that keeps a size of its own for the images that it makes. */
export interface Owner {
  readonly name: string
  /** How the image is grown so that the owner knows of it. */
  readonly remedy: string
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

// The names by which each of them calls its images, as their sources have them: cinder.conf's volume_name_template, ceph-csi's volumeNamePrefix, the
// provisioner in Kubernetes' own tree, Nova's images_type = rbd, Proxmox' storage plug-in.
const owners: readonly (Owner & { readonly pattern: RegExp })[] = [
  {
    name: 'OpenStack Cinder',
    pattern: new RegExp(`^volume-${uuid}$`),
    remedy: 'Grow it by its id with the provider cinder.',
  },
  {
    name: 'ceph-csi (Kubernetes)',
    pattern: new RegExp(`^csi-(?:vol|snap)-${uuid}$`),
    remedy: 'Grow the PersistentVolumeClaim that it belongs to.',
  },
  {
    name: 'Kubernetes',
    pattern: new RegExp(`^kubernetes-dynamic-pvc-${uuid}$`),
    remedy: 'Grow the PersistentVolumeClaim that it belongs to.',
  },
  {
    name: 'OpenStack Nova',
    pattern: new RegExp(`^${uuid}_(?:disk(?:\\.\\w+)?|rescue)$`),
    remedy: 'Resize the instance to a flavour with a larger disk.',
  },
  {
    name: 'Proxmox VE',
    pattern: /^(?:vm|base)-\d+-(?:disk|cloudinit|state)(?:-|$)/,
    remedy: 'Grow it with `qm resize` or `pct resize`, which also tells the guest.',
  },
]

/** Who made the image, as far as its name tells. */
export function ownerOf({ image }: ImageName): Owner | undefined {
  return owners.find(({ pattern }) => pattern.test(image))
}
