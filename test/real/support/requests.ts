import { file } from '../../../providers/file/index.ts'
import { type ExpandRequest, localHost } from '../../../src/index.ts'

/** A request as plain data, for a process of its own. */
export interface PlainRequest {
  /** The image that is the volume; left out: only the node's layers. */
  readonly image?: string
  readonly path?: string
  readonly device?: string
  readonly to: string
  readonly offline?: boolean
  readonly accept?: readonly 'ext4-meta-bg-conversion'[]
  readonly timeouts?: { readonly tool?: number; readonly lock?: number }
}

export function requestOf({ image, path, device, ...options }: PlainRequest): ExpandRequest {
  const host = localHost()
  if (image !== undefined) return { volume: file().volume(image), host, ...options }
  if (path !== undefined) return { host, path, ...options }
  if (device !== undefined) return { host, device, ...options }
  throw new TypeError('An image, a path or a device has to be named.')
}
