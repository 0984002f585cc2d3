import type { StackObservation, StorageObservation } from '../context.ts'
import { type GrowthPayload, type GrowthResult, growthContext, missingTools, plannedGrowth } from '../growth.ts'
import { defineStep, type Step } from '../step.ts'

type Context = { readonly stack: StackObservation }

/** Grows the filesystem to fill what is below it: online whenever it is mounted. */
export function growFilesystem(): Step<object, Context, { readonly filesystemWillGrow: true }> {
  return defineStep<object, Context, { readonly filesystemWillGrow: true }, GrowthPayload, GrowthResult>({
    name: 'grow filesystem',
    async observe() {
      // Loaded while nothing has been touched yet: later it is only asked for again.
      await import('../growing.ts')
      return { filesystemWillGrow: true }
    },
    plan({ stack }, draft) {
      const { filesystem } = stack
      if (filesystem === undefined) return {}
      const { resizer, device, state } = filesystem
      const below = stack.layers.find((entry) => state.below.includes(entry.state.id))
      const available = (below === undefined ? undefined : draft.predicted(below.state.id)) ?? device.size
      const context = growthContext(stack, draft, available, isAllOf(stack.storage, device.id))
      const growth = resizer.grow(device, stack.storage.snapshot, context)
      const payload = { subject: resizer, deviceId: device.id, state, context, growth }
      const planned = plannedGrowth(payload)
      return {
        layers: [state],
        findings: [...growth.findings, ...missingTools(growth, state, stack.storage.tools)],
        actions: planned === undefined ? [] : [planned],
        predictions: new Map([[state.id, growth.after]]),
      }
    },
    act: async (payload, { stack }, services) => (await import('../growing.ts')).grow(payload, stack, services),
    verify: async (_payload, { stack }, _services, result) =>
      (await import('../growing.ts')).measuredLayers(stack, result),
  })
}

/** Whether nothing but the volume is below: of other disks its backend cannot say who has them. */
function isAllOf(storage: StorageObservation, id: string): boolean {
  if (storage.volumeDevices.includes(id)) return true
  const below = storage.snapshot.devices.find((candidate) => candidate.id === id)?.below ?? []
  return below.length > 0 && below.every((next) => isAllOf(storage, next))
}
