import type { Clock, Random } from '../clock.ts'
import type { VolumeExpander, VolumeHandle, VolumeState } from '../expander.ts'
import type { Bytes } from '../size.ts'

/** One volume with the core's services around its provider: batching, pacing, retries. */
export interface ManagedVolume {
  /** The state now, by a request that it may share with other volumes of its scope. */
  read(signal?: AbortSignal): Promise<VolumeState>
  /** Asks for at least `size` bytes; paced and repeated by error class, with one request id for every try. */
  expand(size: Bytes, signal?: AbortSignal): Promise<void>
}
