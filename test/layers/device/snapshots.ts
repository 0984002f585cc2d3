import type { LayerExample, LayerPlace, LayerSetup } from '../../../src/conformance/index.ts'
import type { DeviceSnapshot, StorageSnapshot } from '../../../src/hosts/host.ts'
import { device } from '../../../src/layers/device/index.ts'
import { type Bytes, MiB } from '../../../src/size.ts'

export const allCapabilities: bigint = 2n ** 41n - 1n

export function snapshotOf(
  devices: readonly DeviceSnapshot[],
  capabilities: bigint = allCapabilities,
): StorageSnapshot {
  return {
    system: { kernel: '6.1.0', uid: 0, capabilities, pageSize: 4096 },
    found: devices.slice(0, 1).map(({ id }) => id),
    devices,
  }
}

export function deviceOf(
  details: Partial<DeviceSnapshot> & Pick<DeviceSnapshot, 'id' | 'name' | 'path'>,
): DeviceSnapshot {
  return {
    kind: 'block',
    size: mib(64),
    readOnly: false,
    attributes: {},
    below: [],
    holders: [],
    partitions: [],
    probe: { ok: true, value: [] },
    mounts: [],
    locks: [],
    ...details,
  }
}

export function mib(count: number): Bytes {
  return (BigInt(count) * MiB) as Bytes
}

export function loopOf(
  attributes: Readonly<Record<string, string>> = {},
  details: Partial<DeviceSnapshot> = {},
): DeviceSnapshot {
  const own = { diskseq: '13', 'loop/backing_file': '/srv/a disk.img', 'loop/offset': '0', 'loop/sizelimit': '0' }
  return deviceOf({ id: '7:0', name: 'loop0', path: '/dev/loop0', attributes: { ...own, ...attributes }, ...details })
}

export const virtio: DeviceSnapshot = deviceOf({
  id: '254:0',
  name: 'vda',
  path: '/dev/vda',
  attributes: { diskseq: '2', serial: 'vol-1' },
})

export const image: DeviceSnapshot = deviceOf({
  id: 'image:8:1:77',
  kind: 'image',
  name: '/srv/a disk.img',
  path: '/srv/a disk.img',
})

/** Everything that the layer has to be able to deal with, for the layer suite; made anew so that a mutant can spoil it. */
export function layerSetup(): LayerSetup {
  const partition = deviceOf({
    id: '254:1',
    name: 'vda1',
    path: '/dev/vda1',
    below: ['254:0'],
    attributes: { partition: '1', start: '2048' },
  })
  const offset = loopOf({ 'loop/offset': `${MiB}` }, { id: '7:1', name: 'loop1', path: '/dev/loop1' })
  const bounded = loopOf({ 'loop/sizelimit': `${mib(1024)}` }, { id: '7:2', name: 'loop2', path: '/dev/loop2' })
  const snapshot = structuredClone(snapshotOf([virtio, partition, loopOf(), offset, bounded, image]))
  const at = (name: string, id: string): LayerPlace => {
    const found = snapshot.devices.find((candidate) => candidate.id === id)
    if (found === undefined) throw new TypeError(`${id} is not in the snapshot.`)
    return { name, device: found, snapshot }
  }
  const example = (place: LayerPlace, full: number, follows: boolean): LayerExample => ({
    ...place,
    full: mib(full),
    roomy: mib(full + 64),
    follows,
  })
  return {
    layer: device,
    examples: [
      example(at('virtio disk', '254:0'), 64, true),
      example(at('loop device', '7:0'), 64, false),
      example(at('loop device with an offset', '7:1'), 65, false),
      example(at('loop device with a size limit', '7:2'), 64, false),
      example(at('image file', 'image:8:1:77'), 64, true),
    ],
    others: [at('partition', '254:1')],
  }
}
