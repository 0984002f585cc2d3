import { VolumeExpansionError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import type { DeviceSnapshot, StorageSnapshot } from '../hosts/host.ts'
import type { Growth, LayerState } from '../layers/layer.ts'
import { formatSize } from '../size.ts'
import type { StackObservation } from './context.ts'
import type { GrowthPayload, GrowthResult } from './growth.ts'
import type { StepServices } from './step.ts'
import { withoutLock } from './storage.ts'

/** A growth, and the look at the storage that it was prescribed for. */
export interface Prescribed {
  readonly payload: GrowthPayload
  readonly stack: StackObservation
}

/** So many looks may show something else than what was planned for: who writes without a lock is seen in the middle of it. */
const mostLooks = 3
/** Milliseconds between two of them, at the most. */
const pause = 500

/**
 * Looks at a storage anew that has changed between the look that was planned with and the act, in which nothing was done. Waits for whoever holds its disks, and then
 * asks the layer again how it would be grown. It has to be the same storage beyond doubt, with nothing about it that the plan did not say: of what lies on the disk and
 * on the way to it, no mark may be another one.
 *
 * @returns what is left to do, or what was measured where nothing is left
 * @throws {VolumeExpansionError} `identity-mismatch`, the code of what now blocks the growth, or `stale-plan` where it would have other effects; with outcome `unchanged`
 */
export async function lookAgain(
  planned: GrowthPayload,
  before: StackObservation,
  services: StepServices,
): Promise<Prescribed | GrowthResult> {
  for (let looks = 1; ; looks += 1) {
    const next = await prescribedAnew(planned, before, services)
    if (!(next instanceof VolumeExpansionError)) return next
    if (looks === mostLooks) throw next
    await services.clock.sleep((0.5 + services.random() / 2) * pause, services.signal)
  }
}

async function prescribedAnew(
  planned: GrowthPayload,
  before: StackObservation,
  services: StepServices,
): Promise<Prescribed | GrowthResult | VolumeExpansionError> {
  let stack: StackObservation
  try {
    const storage = await withoutLock(before.storage, services)
    stack = before.measure({ ...storage, tools: { ...before.storage.tools, ...storage.tools } })
  } catch (error) {
    return lostSight(planned.state, error)
  }
  const { subject, deviceId, context } = planned
  const { snapshot } = stack.storage
  const device = snapshot.devices.find(({ id }) => id === deviceId)
  const state = statesOf(stack).find(({ id }) => id === planned.state.id)
  const strangers = identityChanges(before, stack)
  if (device === undefined || state === undefined || strangers.length > 0) {
    return another(planned.state, strangers.join('; '))
  }
  const growth = growthOf(planned, device, snapshot)
  if (growth instanceof VolumeExpansionError) return growth
  const told = [...before.findings, ...planned.growth.findings]
  const untold = [...stack.findings, ...growth.findings].filter(
    ({ code, severity }) => severity !== 'note' && !told.some((finding) => finding.code === code),
  )
  const [first] = [...untold.filter(({ severity }) => severity === 'blocker'), ...untold]
  if (first !== undefined) return nowFound(planned.state, first, untold)
  if (growth.after < planned.growth.after) {
    return stale(planned.state, `it could only have ${formatSize(growth.after)} now`)
  }
  if (state.size >= planned.growth.after) return { snapshot, size: state.size }
  const strayed = otherMarks(planned.growth, growth)
  if (strayed !== undefined) return another(planned.state, `${strayed} says something else`)
  return { payload: { subject, deviceId, context, state, growth }, stack }
}

function growthOf(
  { subject, context, state }: GrowthPayload,
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
): Growth | VolumeExpansionError {
  try {
    return subject.grow(device, snapshot, context)
  } catch (error) {
    return lostSight(state, error)
  }
}

function statesOf({ layers, filesystem }: StackObservation): readonly LayerState[] {
  return [...layers.map(({ state }) => state), ...(filesystem === undefined ? [] : [filesystem.state])]
}

/** What is not the same as it was, for people. */
function identityChanges(before: StackObservation, now: StackObservation): readonly string[] {
  const [was, is] = [before.storage, now.storage]
  const present = statesOf(now)
  const layers = statesOf(before).flatMap(({ id, label, identity }) => {
    const same = present.find((state) => state.id === id)
    if (same === undefined) return [`${label} is not there any more`]
    return equal(identity, same.identity) ? [] : [`${label} is another one`]
  })
  const devices = is.volumeDevices.filter((id) => !was.volumeDevices.includes(id))
  return [
    ...(was.top === is.top ? [] : ['it leads to another device']),
    ...layers,
    ...devices.map((id) => `the volume is ${id} as well`),
  ]
}

function equal(one: LayerState['identity'], other: LayerState['identity']): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys].every((key) => one[key] === other[key])
}

/** The first name, number or serial of a device that was to be expected and is not any more; contents may have changed. */
function otherMarks(planned: Growth, now: Growth): string | undefined {
  const lost = planned.expect.find(({ expect, equals }) => {
    if (expect.read === 'range') return false
    return !now.expect.some(
      (item) => item.expect.read === expect.read && item.expect.path === expect.path && item.equals === equals,
    )
  })
  return lost?.expect.path
}

const remedy = 'Look at what is there now, and plan again.'

function another({ kind, label }: LayerState, what: string): VolumeExpansionError {
  return new VolumeExpansionError('identity-mismatch', `${label} is not what was planned for: ${what}.`, {
    ...{ layer: kind, outcome: 'unchanged', remedy },
  })
}

function stale({ kind, label }: LayerState, what: string): VolumeExpansionError {
  return new VolumeExpansionError('stale-plan', `${label} has changed since it was planned for: ${what}.`, {
    ...{ layer: kind, outcome: 'unchanged', remedy },
  })
}

function nowFound(state: LayerState, first: Finding, untold: readonly Finding[]): VolumeExpansionError {
  if (first.severity !== 'blocker') return stale(state, first.message)
  return new VolumeExpansionError(first.code, first.message, {
    ...{ layer: first.layer, outcome: 'unchanged', findings: untold },
    remedy: first.remedy ?? remedy,
  })
}

/** What cannot be found or measured any more is not what was planned for; any other failure is its own. */
function lostSight(state: LayerState, error: unknown): VolumeExpansionError {
  if (!(error instanceof VolumeExpansionError)) throw error
  switch (error.code) {
    case 'not-found':
    case 'ambiguous':
      return another(state, error.message)
    case 'identity-mismatch':
    case 'filesystem-damaged':
      return error
    default:
      throw error
  }
}
