import type { VolumeHandle, VolumeState } from '../expander.ts'
import type { LayerState } from './layer.ts'

/** The id of a volume's layer in plans and reports. */
export function volumeLayerId({ expander, identity }: VolumeHandle): string {
  // Joined and not put together piece by piece: V8 would keep every piece, and a fleet holds thousands of these.
  return ['volume', expander.name, identity.key].join(':')
}

export function volumeLayer(handle: VolumeHandle, state: VolumeState): LayerState {
  return {
    id: volumeLayerId(handle),
    kind: 'volume',
    label: [handle.expander.name, handle.identity.label].join(' '),
    size: state.size,
    below: [],
    identity: { key: [handle.expander.name, handle.identity.scope, state.key].join(':') },
    facts: { state: state.native },
  }
}
