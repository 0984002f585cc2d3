import { member, text } from './json.ts'
import { imageName, type RbdImage } from './ref.ts'

/** Rook puts the name of its namespace in front. */
const driver = /^(?:[\w-]+\.)*rbd\.csi\.ceph\.com$/

/** The image of a PersistentVolume: of ceph-csi, or of the volume plug-in that Kubernetes had in its own tree until 1.31. */
export function fromPersistentVolume(persistentVolume: object): RbdImage | undefined {
  const spec = member(persistentVolume, 'spec')
  const csi = member(spec, 'csi')
  if (csi !== undefined && csi !== null) {
    const attributes = member(csi, 'volumeAttributes')
    if (!driver.test(text(member(csi, 'driver')) ?? '')) return undefined
    return usable(member(attributes, 'pool'), member(attributes, 'radosNamespace'), member(attributes, 'imageName'))
  }
  const inTree = member(spec, 'rbd')
  if (member(inTree, 'monitors') === undefined) return undefined
  return usable(member(inTree, 'pool') ?? 'rbd', undefined, member(inTree, 'image'))
}

function usable(pool: unknown, namespace: unknown, image: unknown): RbdImage | undefined {
  const parts = { pool: text(pool), namespace: text(namespace), image: text(image) }
  if (parts.pool === undefined || parts.image === undefined) return undefined
  // Without a namespace it is the default one; with one that cannot be read it is an image of another.
  if (parts.namespace === undefined && (namespace ?? '') !== '') return undefined
  const ref: RbdImage = {
    pool: parts.pool,
    ...(parts.namespace === undefined ? {} : { namespace: parts.namespace }),
    image: parts.image,
  }
  try {
    imageName(ref)
    return ref
  } catch {
    return undefined
  }
}
