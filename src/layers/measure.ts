import type { FilesystemResizer } from '../filesystems/filesystem.ts'
import type { StorageSnapshot } from '../hosts/host.ts'
import type { Bytes } from '../size.ts'
import type { Layer } from './layer.ts'

/** The size of the layer on a device of another snapshot of the same stack; undefined when it is not there any more. */
export function sizeIn(snapshot: StorageSnapshot, deviceId: string, of: Layer | FilesystemResizer): Bytes | undefined {
  const device = snapshot.devices.find(({ id }) => id === deviceId)
  if (device === undefined) return undefined
  if ('kind' in of) return of.detect(device, snapshot) ? of.measure(device, snapshot).size : undefined
  return of.detect(device) ? of.measure(device, snapshot).size : undefined
}
