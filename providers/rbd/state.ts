import type { Limit, VolumeState, VolumeUser } from '../../src/expander.ts'
import type { Finding } from '../../src/findings.ts'
import type { DeviceHints } from '../../src/hints.ts'
import { type Bytes, bytes, formatSize, maxSize } from '../../src/size.ts'
import type { ClusterFacts, ImageFacts, PoolFacts, Refusal, Watcher } from './client.ts'
import { ownerOf } from './owner.ts'
import { type ImageName, specOf } from './ref.ts'

/** A state with what tells the image from every other one, also from one of the same name in another cluster. */
export interface RbdState extends VolumeState {
  readonly image: { readonly id?: string; readonly fsid?: string }
}

/** The most objects that an object map can have (MAX_OBJECT_MAP_OBJECT_COUNT in Ceph's include/rbd/object_map_types.h). */
const mostObjects = 256_000_000n

/** Cookies of the kernel's watches begin here (CEPH_LINGER_ID_START in the kernel's net/ceph/osd_client.c); librbd's are addresses in memory. */
const firstKernelCookie = 0xffff_0000_0000_0000n

export function stateOf(
  name: ImageName,
  facts: ImageFacts,
  cluster: ClusterFacts,
  refusal: Refusal | undefined,
): RbdState {
  const { size, id, watchers } = facts
  const pool = cluster.pools.get(name.pool)
  const limit = limitOf(facts)
  const native = nativeOf(facts)
  return {
    ...{ key: specOf(name), size, native, onlineGrowth: true },
    phase: native === 'image' ? 'stable' : 'unusable',
    ...(limit === undefined ? {} : { limits: [limit] }),
    ...(watchers === undefined ? {} : { users: watchers.map(userOf) }),
    ...(pool === undefined ? {} : { backed: backedBy(facts, pool) }),
    findings: findingsOf(name, facts, pool, refusal),
    image: {
      ...(id === undefined ? {} : { id }),
      ...(cluster.fsid === undefined ? {} : { fsid: cluster.fsid }),
    },
  }
}

/** What krbd shows of an image in sysfs (Documentation/ABI/testing/sysfs-bus-rbd). The id stays when the image is renamed, and the kernel goes on showing the old name. */
export function hintsOf({ pool, namespace, image }: ImageName, state: VolumeState): DeviceHints {
  const { id, fsid } = (state as Partial<RbdState>).image ?? {}
  return {
    attributes: {
      'device/pool': pool,
      ...(namespace === '' ? {} : { 'device/pool_ns': namespace }),
      ...(id === undefined ? { 'device/name': image } : { 'device/image_id': id }),
      ...(fsid === undefined ? {} : { 'device/cluster_fsid': fsid }),
      // A mapped snapshot shows its own name here, and never grows.
      'device/current_snap': '-',
    },
  }
}

function nativeOf({ mirror, migration }: ImageFacts): string {
  if (mirror === 'non-primary') return 'non-primary mirror'
  return migration === undefined ? 'image' : `in migration (${migration})`
}

function limitOf({ features, objectSize }: ImageFacts): Limit | undefined {
  if (!features.includes('object-map') || objectSize === 0n) return undefined
  const most = mostObjects * objectSize
  return {
    what: 'size',
    most: most < maxSize ? bytes(most) : maxSize,
    source: `an object map of ${mostObjects} objects of ${formatSize(objectSize)}, the most that Ceph allows`,
  }
}

function isKernel({ cookie }: Watcher): boolean {
  return cookie >= firstKernelCookie
}

function userOf(watcher: Watcher): VolumeUser {
  const kind = isKernel(watcher) ? "the kernel's rbd" : 'librbd'
  return { kind: 'watcher', description: `client.${watcher.client} at ${watcher.address} (${kind})` }
}

/** Without a count of its own objects, the image may have written all of its size; so this is never too low, and a warning about it never wrong. */
function backedBy({ size, used }: ImageFacts, { available, stored }: PoolFacts): Bytes {
  const most = available + (used ?? (size < stored ? size : stored))
  return most < maxSize ? bytes(most) : maxSize
}

function findingsOf(
  name: ImageName,
  facts: ImageFacts,
  pool: PoolFacts | undefined,
  refusal: Refusal | undefined,
): readonly Finding[] {
  const spec = specOf(name)
  const found: Finding[] = []
  const add = (severity: Finding['severity'], code: Finding['code'], message: string, remedy: string): void =>
    void found.push({ code, severity, layer: 'volume', target: spec, message, remedy })
  if (refusal !== undefined) add('blocker', 'permission-denied', `${spec}: ${refusal.message}`, refusal.remedy)
  const owner = ownerOf(name)
  if (owner !== undefined) {
    add(
      'blocker',
      'owned-elsewhere',
      `${spec} is called as ${owner.name} calls its images; grown behind its back, its records would lie.`,
      `${owner.remedy} Or accept 'owned-elsewhere' if it really is nobody's.`,
    )
  }
  if (facts.mirror === 'non-primary') {
    add(
      'blocker',
      'wrong-state',
      `${spec} is a mirror, and not the primary one: it is written by rbd-mirror alone.`,
      'Grow the primary image in its own cluster; mirroring brings the new size here.',
    )
  }
  if (facts.migration !== undefined) {
    add(
      'blocker',
      'wrong-state',
      `${spec} is the target of a migration that is not committed (${facts.migration}).`,
      'Commit or abort it first (rbd migration commit, rbd migration abort).',
    )
  }
  if (pool !== undefined && (pool.trouble !== undefined || pool.available === 0n)) {
    add(
      'blocker',
      'pool-full',
      `The cluster says: ${pool.trouble ?? `pool '${name.pool}' has no room left`}. A volume that grows there would be a promise that cannot be kept.`,
      'Add room to the cluster or free some (ceph df, ceph health detail), and run this again.',
    )
  }
  const others = (facts.watchers ?? []).filter((watcher) => !isKernel(watcher))
  if (others.length > 0) {
    add(
      'warning',
      'not-visible-by-itself',
      `${others.map((watcher) => userOf(watcher).description).join(', ')}: a guest that has ${spec} through QEMU does not see its new size by itself.`,
      'Tell the guest’s emulator: `virsh blockresize`, or block_resize over QMP, to exactly the new size (it would shrink as readily). rbd-nbd needs nothing.',
    )
  }
  return found
}
