import { type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import type { ReadOutcome, VolumePhase, VolumeUser } from '../../src/expander.ts'
import { bytes, GiB } from '../../src/size.ts'
import type { PlaceApi } from './api.ts'
import type { GcePdState } from './device.ts'
import { missingDisk, operationError } from './errors.ts'
import { limitsOf, mostOf } from './limits.ts'
import type { Begun, ScopeMemory } from './memory.ts'
import { instanceOf, type NativeDisk, type NativeOperation } from './native.ts'
import { type DiskName, keyOf, whatIs } from './refs.ts'

/** Milliseconds that one read waits for an operation at the most; the core looks again. */
const longestWait = 20_000
/** More reads of one scope than this do not wait: others share the places for requests. */
const mostWaits = 2
/** Milliseconds for which the bounds of a disk type are believed. */
const typeMemory = 600_000
/** Milliseconds for which instances that may not be looked at are left alone. */
const denialMemory = 60_000

interface Reading {
  readonly api: PlaceApi
  readonly memory: ScopeMemory
  readonly signal: AbortSignal | undefined
}

/**
 * The states of disks of one place. What is under way is looked for first and the sizes after it: what has ended by then shows in the sizes. Disks whose own growth is
 * still running are not read again, and one alone is waited for by the service, so that most looks at a fleet cost one request, and a single growth very few.
 */
export async function statesOf(names: readonly DiskName[], reading: Reading): Promise<readonly ReadOutcome[]> {
  const { memory } = reading
  const pending = names.some((name) => memory.begun.has(keyOf(name)))
  try {
    const alone = await waitedFor(names, reading)
    const running = alone ?? (await reading.api.running(reading.signal))
    const resting = names.filter((name) => !isOwnRunning(name, memory, running))
    const disks = await reading.api.disks([...new Set(resting.map(({ disk }) => disk))], reading.signal)
    await learn(disks, reading)
    return await Promise.all(names.map((name) => settled(name, running, disks.get(name.disk), reading)))
  } catch (thrown) {
    throw pending ? withOutcome(thrown, 'unknown') : thrown
  }
}

/** A growth was accepted and its end was not seen: whatever hides it does not undo it. */
function withOutcome(thrown: unknown, outcome: Outcome): unknown {
  return thrown instanceof VolumeExpansionError ? thrown.with({ outcome }) : thrown
}

function isOwnRunning(name: DiskName, { begun }: ScopeMemory, running: ReadonlyMap<string, NativeOperation>): boolean {
  const key = keyOf(name)
  const own = begun.get(key)
  return own !== undefined && running.get(key)?.name === own.operation
}

/** What is under way, for a single disk whose growth was begun here: by waiting for it. Undefined: it is another case, or too many wait already. */
async function waitedFor(
  names: readonly DiskName[],
  { api, memory, signal }: Reading,
): Promise<ReadonlyMap<string, NativeOperation> | undefined> {
  const [first, ...others] = names
  const own = first === undefined || others.length > 0 ? undefined : memory.begun.get(keyOf(first))
  if (first === undefined || own === undefined || memory.waits >= mostWaits) return undefined
  memory.waits += 1
  try {
    const operation = await api.wait(own.operation, longestWait, signal)
    return operation === undefined || operation.status === 'DONE' ? new Map() : new Map([[keyOf(first), operation]])
  } finally {
    memory.waits -= 1
  }
}

async function settled(
  name: DiskName,
  running: ReadonlyMap<string, NativeOperation>,
  seen: NativeDisk | undefined,
  reading: Reading,
): Promise<ReadOutcome> {
  const { memory } = reading
  const key = keyOf(name)
  const own = memory.begun.get(key)
  const change = running.get(key)
  if (own !== undefined && change?.name === own.operation) return stateOf(name, own.before, change, own, reading)
  if (seen === undefined) {
    memory.begun.delete(key)
    const error = missingDisk(whatIs(name))
    return own === undefined ? error : error.with({ outcome: 'unknown' })
  }
  memory.disks.set(key, seen)
  if (own === undefined) return stateOf(name, seen, change, undefined, reading)
  if (seen.sizeGb >= own.sizeGb) {
    memory.begun.delete(key)
    return stateOf(name, seen, change, undefined, reading)
  }
  return await notYet(name, own, seen, reading)
}

/** A growth of our own that is in no list of what runs, and that the size does not show: its operation says what became of it. */
async function notYet(name: DiskName, own: Begun, seen: NativeDisk, reading: Reading): Promise<ReadOutcome> {
  const { api, memory, signal } = reading
  const operation = await api.operation(own.operation, signal)
  if (operation !== undefined && operation.status !== 'DONE') return stateOf(name, seen, operation, own, reading)
  memory.begun.delete(keyOf(name))
  if (operation?.error !== undefined) {
    const state = stateOf(name, seen, undefined, undefined, reading)
    // It is the change that failed, and not the disk.
    return { ...state, phase: 'failed', repeatable: true, failure: endOf(name, operation.error) }
  }
  const disk = (await api.disks([name.disk], signal)).get(name.disk)
  return disk === undefined ? missingDisk(whatIs(name)) : stateOf(name, disk, undefined, undefined, reading)
}

/** The change is over and did not happen; asking again is the caller's to decide, so that no look at it is worth repeating. */
function endOf(
  name: DiskName,
  { code, message }: { readonly code: string; readonly message: string },
): VolumeExpansionError {
  const context = { what: whatIs(name), mutates: true, permission: 'compute.disks.resize' }
  return operationError(code, message, context).with({ retryable: false })
}

const phases: Readonly<Record<string, VolumePhase>> = { READY: 'stable', FAILED: 'failed' }

function stateOf(
  name: DiskName,
  disk: NativeDisk,
  change: NativeOperation | undefined,
  own: Begun | undefined,
  { memory }: Reading,
): GcePdState {
  const phase = phases[disk.status] ?? 'unusable'
  const growing = change !== undefined && phase === 'stable'
  const attachments = attachmentsIn(memory, keyOf(name), disk)
  return {
    key: keyOf(name),
    size: bytes(disk.sizeGb * GiB),
    phase: growing ? 'growing' : phase,
    native: growing ? `${disk.status}, ${change.type || 'change'} ${change.status}` : disk.status,
    ...(growing && own !== undefined ? { growingTo: bytes(own.sizeGb * GiB) } : {}),
    limits: limitsOf(disk.type, memory.types.get(disk.type)?.most),
    // "Whether it is attached or not" (https://cloud.google.com/compute/docs/disks/resize-persistent-disk).
    onlineGrowth: true,
    users: usersOf(disk, attachments),
    ...(attachments === undefined ? {} : { attachments }),
  }
}

/** With one instance only, whoever has the disk's device is that instance. */
function usersOf({ users }: NativeDisk, attachments: GcePdState['attachments']): readonly VolumeUser[] {
  return users.map((link) => {
    const { zone, name } = instanceOf(link) ?? { zone: 'an unknown zone', name: link }
    const as = attachments?.find((each) => each.instance === name && each.zone === zone)
    return {
      kind: 'attachment',
      description: `instance ${name} in ${zone}${as === undefined ? '' : ` as ${as.deviceName}`}`,
      isDevice: users.length === 1,
    }
  })
}

/** Reads what states need besides the disks, as far as it is not known: their types, and the instances that have them. */
async function learn(disks: ReadonlyMap<string, NativeDisk>, reading: Reading): Promise<void> {
  const all = [...disks.values()]
  const types = new Set(all.map(({ type }) => type))
  await Promise.all([...[...types].map((type) => learnType(type, reading)), learnAttachments(all, reading)])
}

/** A type that cannot be read is no reason not to look at its disks. */
async function learnType(type: string, { api, memory, signal }: Reading): Promise<void> {
  const known = memory.types.get(type)
  // What cannot be the name of a type is not asked for.
  if (!/^[-\w.]+$/.test(type) || (known !== undefined && performance.now() - known.at < typeMemory)) return
  const most = await api.validDiskSize(type, signal).then(mostOf, (thrown: unknown) => {
    if (thrown instanceof VolumeExpansionError && thrown.code !== 'aborted') return undefined
    throw thrown
  })
  memory.types.set(type, { most, at: performance.now() })
}

async function learnAttachments(disks: readonly NativeDisk[], { api, memory, signal }: Reading): Promise<void> {
  if (performance.now() < memory.deniedUntil) return
  const keyed = disks.map((disk) => ({ disk, key: keyOf({ ...api, disk: disk.name }) }))
  const wanted = keyed.filter(
    ({ disk, key }) => disk.users.length > 0 && attachmentsIn(memory, key, disk) === undefined,
  )
  if (wanted.length === 0) return
  try {
    const found = await api.attachments([...new Set(wanted.flatMap(({ disk }) => disk.users))], signal)
    for (const { disk, key } of wanted) {
      // An instance that does not show the disk is on the way to another state: looked at again next time.
      const attachments = found.get(key) ?? []
      if (attachments.length === disk.users.length)
        memory.attachments.set(key, { version: versionOf(disk), attachments })
    }
  } catch (thrown) {
    if (!(thrown instanceof VolumeExpansionError) || !optional.has(thrown.code)) throw thrown
    memory.deniedUntil = performance.now() + denialMemory
  }
}

/** Without device names a volume can still be grown at its backend. */
const optional: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['permission-denied', 'tool-missing'])

function attachmentsIn(memory: ScopeMemory, key: string, disk: NativeDisk): GcePdState['attachments'] {
  if (disk.users.length === 0) return []
  const known = memory.attachments.get(key)
  return known?.version === versionOf(disk) ? known.attachments : undefined
}

/** What tells that a disk still has the same attachments: a device name never changes while a disk stays attached. */
function versionOf({ users, attachedAt = '' }: NativeDisk): string {
  return JSON.stringify([attachedAt, ...users])
}
