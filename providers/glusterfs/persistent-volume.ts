import { isVolumeName } from './options.ts'

/** The volume's name in a PersistentVolume of Kubernetes' own GlusterFS plug-in: `path`, which may name a directory within it. */
export function nameOf(persistentVolume: object): string | undefined {
  const path = fieldOf(fieldOf(fieldOf(persistentVolume, 'spec'), 'glusterfs'), 'path')
  const name = typeof path === 'string' ? path.replace(/^\//, '').split('/')[0] : undefined
  return isVolumeName(name) ? name : undefined
}

/** An own member of something that may not even be an object. */
function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
