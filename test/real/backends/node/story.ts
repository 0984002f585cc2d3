import { onTestFinished } from 'vitest'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import type { OpenStack } from '../../../lab/cinder/openstack.ts'
import { type Guest, resize } from '../../../lab/node/guest.ts'
import { FilesystemInUse } from '../../node/support/growth.ts'
import { Node, type PluggedDisk } from '../../node/support/node.ts'
import { attach, gib, look, makeVolume } from '../cinder/support/cloud.ts'

/** Characters of a serial that a disk of virtio shows: VIRTIO_BLK_ID_BYTES. */
const shownSerial = 20

/** A volume of Cinder on Ceph that a server uses: its emulator by librbd, its kernel as a disk, and a program by the filesystem on that. */
export interface Server {
  readonly id: string
  readonly node: Node
  readonly disk: PluggedDisk
  readonly filesystem: FilesystemInUse
}

export async function serverWith(guest: Guest, ceph: CephLab, user: OpenStack): Promise<Server> {
  const id = await makeVolume(user, 1, 'ceph')
  const node = await Node.forTest(guest)
  const disk = await node.plugRbd({
    ...{ serial: id.slice(0, shownSerial), pool: 'volumes', image: `volume-${id}` },
    ...{ conf: ceph.conf, user: 'cinder' },
  })
  await attach(user, id)
  const filesystem = await FilesystemInUse.on(node, disk.device, ['mkfs.ext4', '-q'])
  return { id, node, disk, filesystem }
}

/** What each party takes for the size of the volume. */
export interface Sizes {
  readonly cinder: bigint
  readonly ceph: bigint
  readonly device: bigint
  /** What df says: a few percent below the others, for what the filesystem needs itself. */
  readonly df: bigint
}

export async function sizesOf({ id, node, disk, filesystem }: Server, ceph: CephLab, user: OpenStack): Promise<Sizes> {
  const image: { readonly size: number } = JSON.parse(
    await ceph.rbd('info', '--format', 'json', `volumes/volume-${id}`),
  )
  return {
    cinder: gib((await look(user, id)).size),
    ceph: BigInt(image.size),
    device: await node.sizeOf(disk.device),
    df: await dfOf(node, filesystem.mountPoint),
  }
}

export async function dfOf(node: Node, path: string): Promise<bigint> {
  return BigInt((await node.shell.run('df', '-B1', '--output=size', path)).split('\n').at(-1) ?? '')
}

/** What nova-compute does when it hears that a volume has grown: it asks Cinder for the size, and tells the emulator. @returns milliseconds of the latter */
export async function passOn({ id, disk }: Server, user: OpenStack): Promise<number> {
  const { size } = await look(user, id)
  const begun = performance.now()
  await resize(disk, gib(size))
  return performance.now() - begun
}

/** Milliseconds of the longest time without a new record while something goes on, as it is seen from here. */
export function stallsOf(filesystem: FilesystemInUse): () => number {
  let [last, since, longest] = [filesystem.confirmed, performance.now(), 0]
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - since)
    if (filesystem.confirmed === last) return
    last = filesystem.confirmed
    since = now
  }, 2)
  onTestFinished(() => clearInterval(timer))
  return () => {
    clearInterval(timer)
    return longest
  }
}
