import type { LayerState } from '../layers/layer.ts'
import { type Bytes, bytes } from '../size.ts'
import type { ClaimState, VolumeObjectState } from './claim-state.ts'
import type { ClusterAccess } from './cluster.ts'
import type { RefusedClaim } from './refusals.ts'

/** A claim, its PersistentVolume and its class, as they were seen. */
export interface ClaimSight {
  readonly access: ClusterAccess
  readonly name: RefusedClaim
  readonly claim: ClaimState
  /** Left out when there is none, or it may not be seen. */
  readonly volume?: VolumeObjectState
  /** Whether the storage class allows growth; undefined when it could not be seen. A claim without a class, or with one that is gone, has none that does. */
  readonly classAllows?: boolean
}

export const claimPath = ({ namespace, name }: RefusedClaim): string =>
  `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`
export const volumePath = (name: string): string => `/api/v1/persistentvolumes/${name}`

export function claimLayerId({ namespace, name }: RefusedClaim): string {
  return `claim:${namespace}/${name}`
}

export function labelOf({ namespace, name }: RefusedClaim): string {
  return `${namespace}/${name}`
}

/** What the cluster says that the claim has; nothing where it says nothing. */
export function claimLayer(name: RefusedClaim, claim: ClaimState, below: readonly string[] = []): LayerState {
  const { uid, volumeName, storageClass, request } = claim
  return {
    ...{ id: claimLayerId(name), kind: 'claim', label: `claim ${labelOf(name)}`, below, identity: { uid } },
    size: claim.capacity ?? bytes(0n),
    facts: {
      ...(request === undefined ? {} : { request }),
      ...(volumeName === undefined ? {} : { volume: volumeName }),
      ...(storageClass === undefined ? {} : { class: storageClass }),
    },
  }
}

export function volumeObjectLayer(volume: VolumeObjectState, below: readonly string[] = []): LayerState {
  const { name, uid, source, capacity = bytes(0n) } = volume
  return {
    ...{ id: `persistentvolume:${name}`, kind: 'claim', label: `PersistentVolume ${name}`, size: capacity, below },
    ...{ identity: { uid }, facts: { source } },
  }
}

/** The largest of those that are known. */
export function largest(...sizes: readonly (Bytes | undefined)[]): Bytes | undefined {
  return sizes.reduce<Bytes | undefined>(
    (most, size) => (size !== undefined && (most === undefined || size > most) ? size : most),
    undefined,
  )
}
