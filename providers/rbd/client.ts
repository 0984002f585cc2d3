import type { Bytes } from '../../src/size.ts'
import type { ImageName } from './ref.ts'

/** Somebody who watches an image, which everybody does who has it open for writing. */
export interface Watcher {
  /** Such as `10.0.0.7:0/4034182183`. */
  readonly address: string
  readonly client: string
  /** A 64-bit number. */
  readonly cookie: bigint
}

/** What was seen of one image; what could not be seen is left out. */
export interface ImageFacts {
  readonly size: Bytes
  /** Left out for images of the old format 1, which have none. */
  readonly id?: string
  readonly features: readonly string[]
  readonly objectSize: bigint
  /** Left out: it is no mirror. */
  readonly mirror?: 'primary' | 'non-primary'
  /** The state of a migration that is under way. */
  readonly migration?: string
  readonly watchers?: readonly Watcher[]
  /** Bytes that the image itself has written. */
  readonly used?: Bytes
}

/** What was seen of a pool. */
export interface PoolFacts {
  /** Bytes that could still be written to it. */
  readonly available: Bytes
  /** Bytes that are stored in it. */
  readonly stored: Bytes
  /** What the cluster says about its room when there is too little of it: "pool 'volumes' is full (no space)". */
  readonly trouble?: string
}

/** What was seen of the cluster. */
export interface ClusterFacts {
  readonly fsid?: string
  readonly pools: ReadonlyMap<string, PoolFacts>
}

export interface Reading {
  /** One entry for each image, in their order. */
  readonly images: readonly (ImageFacts | Error)[]
  readonly cluster: ClusterFacts
}

export interface ClientOptions {
  readonly signal?: AbortSignal | undefined
}

/** The provider's way to a cluster. Every method rejects with a `VolumeExpansionError`. */
export interface RbdClient {
  /** Two clients with one scope see the same, with the same rights. */
  readonly scope: string
  /** Why this way does not grow anything, whatever the image. */
  readonly refusal?: Refusal
  read(names: readonly ImageName[], options: ClientOptions): Promise<Reading>
  /** Makes the image at least `size` bytes large, a multiple of 1 MiB; returns what it measured after that, undefined when it has been accepted only. */
  grow(name: ImageName, size: Bytes, options: ClientOptions): Promise<Bytes | undefined>
  readonly snapshots?: SnapshotClient
}

export interface Refusal {
  readonly message: string
  readonly remedy: string
}

export interface SnapshotClient {
  /** `exists`: there was one of that name before. */
  create(name: ImageName, snapshot: string, options: ClientOptions): Promise<'made' | 'exists'>
  /** Names of the snapshots that are there. */
  list(name: ImageName, options: ClientOptions): Promise<readonly string[]>
}
