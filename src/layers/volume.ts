import type { VolumeHandle, VolumeState } from '../expander.ts'
import type { LayerState } from './layer.ts'

/** The id of a volume's layer in plans and reports. */
export function volumeLayerId({ expander, identity }: VolumeHandle): string {
  return `volume:${expander.name}:${identity.key}`
}

export function volumeLayer(handle: VolumeHandle, state: VolumeState): LayerState {
  return {
    id: volumeLayerId(handle),
    kind: 'volume',
    label: `${handle.expander.name} ${handle.identity.label}`,
    size: state.size,
    below: [],
    identity: { key: `${handle.expander.name}:${handle.identity.scope}:${state.key}` },
    facts: { state: state.native },
  }
}
