import type { Bytes } from '../size.ts'
import { isRecord, type KubernetesObject, listAt, recordAt, textAt, valueAt } from './fields.ts'
import { sizeOf } from './quantity.ts'

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

/** A PersistentVolumeClaim, as far as growing needs it. */
export interface ClaimState {
  readonly object: KubernetesObject
  readonly uid: string
  readonly resourceVersion: string
  readonly phase: string
  readonly volumeName?: string
  readonly storageClass?: string
  readonly block: boolean
  readonly accessModes: readonly string[]
  /** Bytes that it asks for. */
  readonly request?: Bytes
  /** Bytes that the cluster says it has. */
  readonly capacity?: Bytes
  /** Those that are true. Unknown types are kept. */
  readonly conditions: readonly Condition[]
  /** Of `status.allocatedResourceStatuses` (Kubernetes 1.28 and later): absent when idle. */
  readonly resizeStatus?: string
  /** Bytes of `status.allocatedResources`: what a resizer is on the way to. */
  readonly allocated?: Bytes
  readonly annotations: KubernetesObject
}

export function claimStateOf(object: unknown): ClaimState {
  const volumeName = textAt(object, 'spec', 'volumeName')
  const storageClass =
    textAt(object, 'spec', 'storageClassName') ??
    // Where classes lived before Kubernetes 1.6.
    textAt(object, 'metadata', 'annotations', 'volume.beta.kubernetes.io/storage-class')
  const request = sizeOf(valueAt(object, 'spec', 'resources', 'requests', 'storage'))
  const capacity = sizeOf(valueAt(object, 'status', 'capacity', 'storage'))
  const allocated = sizeOf(valueAt(object, 'status', 'allocatedResources', 'storage'))
  // Kubernetes 1.23 to 1.27 had one status for all resources.
  const resizeStatus =
    textAt(object, 'status', 'allocatedResourceStatuses', 'storage') ?? textAt(object, 'status', 'resizeStatus')
  return {
    object: isRecord(object) ? object : {},
    uid: textAt(object, 'metadata', 'uid') ?? '',
    resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '',
    phase: textAt(object, 'status', 'phase') ?? 'Pending',
    block: textAt(object, 'spec', 'volumeMode') === 'Block',
    accessModes: listAt(object, 'spec', 'accessModes').map(String),
    conditions: listAt(object, 'status', 'conditions').flatMap(conditionOf),
    annotations: recordAt(object, 'metadata', 'annotations'),
    ...(volumeName === undefined ? {} : { volumeName }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(request === undefined ? {} : { request }),
    ...(capacity === undefined ? {} : { capacity }),
    ...(allocated === undefined ? {} : { allocated }),
    ...(resizeStatus === undefined || resizeStatus === 'None' ? {} : { resizeStatus }),
  }
}

function conditionOf(entry: unknown): readonly Condition[] {
  const type = textAt(entry, 'type')
  const status = textAt(entry, 'status')
  if (type === undefined || status !== 'True') return []
  const reason = textAt(entry, 'reason')
  const message = textAt(entry, 'message')
  return [{ type, status, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) }]
}

/** A PersistentVolume, as far as growing needs it. */
export interface VolumeObjectState {
  readonly object: KubernetesObject
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly capacity?: Bytes
  /** Uid of the claim that it is bound to. */
  readonly claimUid?: string
  /** The plug-in that it names: `rbd`, `cinder`; for CSI, the driver. */
  readonly source: string
  readonly isCsi: boolean
  readonly annotations: KubernetesObject
}

/** Members of `spec` that are not the source of the volume. */
const notASource: ReadonlySet<string> = new Set([
  ...['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy'],
  ...['storageClassName', 'volumeAttributesClassName', 'volumeMode'],
])

export function volumeStateOf(object: unknown): VolumeObjectState {
  const capacity = sizeOf(valueAt(object, 'spec', 'capacity', 'storage'))
  const claimUid = textAt(object, 'spec', 'claimRef', 'uid')
  const kind = Object.keys(recordAt(object, 'spec')).find((name) => !notASource.has(name)) ?? 'unknown'
  return {
    object: isRecord(object) ? object : {},
    name: textAt(object, 'metadata', 'name') ?? '',
    uid: textAt(object, 'metadata', 'uid') ?? '',
    resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '',
    source: textAt(object, 'spec', 'csi', 'driver') ?? kind,
    isCsi: kind === 'csi',
    annotations: recordAt(object, 'metadata', 'annotations'),
    ...(capacity === undefined ? {} : { capacity }),
    ...(claimUid === undefined ? {} : { claimUid }),
  }
}
