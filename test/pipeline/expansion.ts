import {
  growBackend,
  growFilesystem,
  growLayers,
  type Host,
  locateDevice,
  locatePath,
  observeBackend,
  observeLayers,
  type Pipeline,
  type Place,
  pipeline,
  type Volume,
  VolumeExpansionError,
} from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { type ScriptedProvider, type ScriptedVolume, scriptedProvider, virtualClock } from '../../src/testing/index.ts'
import type { VirtualClock } from '../../src/testing/virtual-clock.ts'
import { type SimulatedNode, simulatedNode } from './simulated-node.ts'

/** A scripted volume of 10 GiB with a simulated node on which a filesystem fills it. */
export interface Scene {
  readonly clock: VirtualClock
  readonly provider: ScriptedProvider
  readonly volume: Volume
  readonly node: SimulatedNode
  readonly whole: Pipeline<{ volume: Volume; host: Host } & Place, object>
  readonly nodeOnly: Pipeline<{ host: Host } & Place, object>
  readonly input: { volume: Volume; host: Host; clock: VirtualClock; random: () => number }
}

export function scene(volume: Partial<ScriptedVolume> = {}): Scene {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({ clock, volumes: { v1: { size: '10Gi', growthTime: 1000, ...volume } } })
  const node = simulatedNode({ device: 10n * GiB, filesystem: 10n * GiB, backing: () => provider.state('v1').size })
  const own = { layers: [node.layer], resizers: [node.resizer] }
  const whole = pipeline()
    .use(observeBackend())
    .use(locateDevice())
    .use(observeLayers(own))
    .use(growBackend())
    .use(growLayers())
    .use(growFilesystem())
  const nodeOnly = pipeline().use(locatePath()).use(observeLayers(own)).use(growLayers()).use(growFilesystem())
  const input = { volume: provider.volume('v1'), host: node.host, clock, random: () => 0.5 }
  return { clock, provider, volume: input.volume, node, whole, nodeOnly, input }
}

/** The failure with which something ends. */
export async function failureOf(promise: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const error = await Promise.resolve(promise).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof VolumeExpansionError)) throw new Error(`expected a VolumeExpansionError, not ${error}`)
  return error
}
