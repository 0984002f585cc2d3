import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiObject } from './api.ts'
import { type ClaimName, claimPath, type Objects } from './objects.ts'

export interface ResizerOptions {
  /** Whether the node has to grow the filesystem: the claim then waits for its kubelet. Left out: false. */
  readonly needsNode?: boolean
  /** Whether it plays the kubelet too, so that such a claim does not wait for ever. Left out: true. */
  readonly kubelet?: boolean
}

interface Claim {
  readonly spec: {
    readonly volumeName: string
    readonly resources: { readonly requests: { readonly storage: string } }
  }
  readonly status: { readonly capacity?: { readonly storage: string } }
}

/**
 * Plays the resizer, and the kubelet, of one claim, as those of Kubernetes 1.20 write: the condition Resizing, the volume's capacity, then FileSystemResizePending
 * or the end. Grows whatever is asked for, once.
 */
export async function playResizer(
  objects: Objects,
  claim: ClaimName,
  { needsNode = false, kubelet = true }: ResizerOptions = {},
  signal?: AbortSignal,
): Promise<{ readonly capacityWrittenAt: number }> {
  for (;;) {
    signal?.throwIfAborted()
    const { spec, status } = (await objects.api.get(claimPath(claim))) as unknown as Claim
    const wanted = spec.resources.requests.storage
    if (wanted !== status.capacity?.storage) {
      await objects.setStatus(claim, { conditions: [condition('Resizing')] })
      await objects.setVolumeCapacity(spec.volumeName, wanted)
      if (needsNode) {
        await objects.setStatus(claim, {
          conditions: [
            removed('Resizing'),
            condition('FileSystemResizePending', 'Waiting for user to (re-)start a pod'),
          ],
        })
        if (!kubelet) return { capacityWrittenAt: Number.NaN }
      }
      const capacityWrittenAt = performance.now()
      await objects.setStatus(claim, {
        capacity: { storage: wanted },
        // To remove one that is not there would make an empty one.
        conditions: [removed(needsNode ? 'FileSystemResizePending' : 'Resizing')],
      })
      return { capacityWrittenAt }
    }
    await sleep(20)
  }
}

function condition(type: string, message = ''): ApiObject {
  return { type, status: 'True', message, lastTransitionTime: new Date().toISOString() }
}

function removed(type: string): ApiObject {
  return { type, $patch: 'delete' }
}
