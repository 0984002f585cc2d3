import { VolumeExpansionError } from '../errors.ts'
import type { DeviceSnapshot, Host, ReadResult, StorageSnapshot, StorageTarget, ToolsValue } from '../hosts/host.ts'
import { mapOf, topOf } from '../layers/top.ts'
import { pollUntil } from '../wait.ts'
import type { BackendObservation, StorageObservation } from './context.ts'
import { patiently } from './patience.ts'
import type { StepServices } from './step.ts'

/** The programs that the built-in layers and resizers may ask for; looked for in the same round trip as everything else. */
const growthTools = [
  'resize2fs',
  'e2fsck',
  'xfs_growfs',
  'losetup',
  'sfdisk',
  'resizepart',
  'cryptsetup',
  'lvm',
  'multipathd',
  'dmsetup',
  'flock',
  'unshare',
  'mount',
  'umount',
  'sh',
] as const

/**
 * Looks at the storage, keeps everybody else in this process out of the disks below it, and waits for tools that an earlier run left behind. What it returns was
 * seen after all that.
 */
export async function lookAt(
  host: Host,
  target: StorageTarget,
  services: StepServices,
  backend?: BackendObservation,
): Promise<StorageObservation> {
  for (;;) {
    const observation = await look(host, target, services, backend)
    if (services.planning) return observation
    let waited = false
    // Sorted, so that two runs that share disks can never wait for each other.
    for (const key of diskKeys(observation)) waited = (await services.exclusive(key, 'device')).waited || waited
    if (lockHolders(observation).length > 0) {
      services.waiting('device', describeHolders(observation))
      await withoutLock(observation, services)
      waited = true
    }
    if (!waited) return observation
  }
}

/** Waits until no process holds a lock on the disks of this place. Costs reads only, no process. @returns what was seen then */
export async function withoutLock(storage: StorageObservation, services: StepServices): Promise<StorageObservation> {
  const { host, target, backend } = storage
  const wait = pollUntil({
    what: 'the tool that holds the disk to end',
    layer: 'device',
    read: () => look(host, target, services, backend, true),
    judge: (observation) => (lockHolders(observation).length === 0 ? 'done' : 'waiting'),
    describe: describeHolders,
    deadline: services.clock.now() + services.timeouts.lock,
    ...services,
  })
  return wait.catch((error: unknown): never => {
    if (!(error instanceof VolumeExpansionError)) throw error
    if (error.code === 'timeout') throw stillHeld(error)
    // It was only a wait: nothing was begun.
    throw error.code === 'aborted' ? error.with({ outcome: 'unchanged' }) : error
  })
}

function stillHeld({ message, cause }: VolumeExpansionError): VolumeExpansionError {
  return new VolumeExpansionError('tool-running', message, {
    layer: 'device',
    outcome: 'unchanged',
    retryable: true,
    cause,
    remedy:
      'Wait for that tool to end, and run this again. Do not kill a tool that writes to a filesystem that is not mounted.',
  })
}

type Look = readonly [ReadResult<StorageSnapshot>, ReadResult<ToolsValue>, ReadResult<StorageSnapshot>?]

async function look(
  host: Host,
  target: StorageTarget,
  services: StepServices,
  backend: BackendObservation | undefined,
  locks = false,
): Promise<StorageObservation> {
  const hints = backend?.handle.expander.identify(backend.handle.ref, backend.state)
  if (hints?.host !== undefined && hints.host !== host.id) throw notOfThisHost(host, hints.host, backend)
  const read = { read: 'storage', at: target, ...(locks ? { locks } : {}) } as const
  const tools = { read: 'tools', names: growthTools } as const
  const both = hints === undefined || 'hints' in target ? undefined : ({ read: 'storage', at: { hints } } as const)
  const options = { signal: services.signal }
  const looking: Promise<Look> =
    both === undefined ? host.batch([read, tools] as const, options) : host.batch([read, tools, both] as const, options)
  const [storage, found, expected] = await patiently(host, services, looking)
  if (!storage.ok) throw unreadable(host, target, storage.message)
  const start = onlyOne(storage.value, host, target, backend)
  const { id: top, findings: stuck } = 'path' in target ? { id: start, findings: [] } : topOf(storage.value, start)
  if (expected !== undefined) {
    if (!expected.ok) throw unreadable(host, target, expected.message)
    requireVolumeBelow(storage.value, top, expected.value, host, backend)
  }
  const available: ToolsValue = found.ok ? found.value : {}
  const volumeDevices = backend === undefined ? [] : (expected?.ok === true ? expected.value : storage.value).found
  const observation = { host, target, snapshot: storage.value, top, stuck, volumeDevices, tools: available }
  return backend === undefined ? observation : { ...observation, backend }
}

/** A file of the same name on another machine is another volume. */
function notOfThisHost(host: Host, owner: string, backend: BackendObservation | undefined): VolumeExpansionError {
  const label = backend?.handle.identity.label ?? 'the volume'
  return new VolumeExpansionError(
    'identity-mismatch',
    `${label} is a volume of the host ${owner}, not of ${host.id}.`,
    {
      layer: 'device',
      outcome: 'unchanged',
      remedy: `Give the host ${owner}, or the volume that ${host.id} really has.`,
    },
  )
}

function unreadable(host: Host, target: StorageTarget, message: string): VolumeExpansionError {
  return new VolumeExpansionError('not-found', `${describe(target)} could not be looked at on ${host.id}: ${message}`, {
    layer: 'device',
    outcome: 'unchanged',
    remedy: 'Check the name, and that the user of the run may read it.',
  })
}

function onlyOne(
  snapshot: StorageSnapshot,
  host: Host,
  target: StorageTarget,
  backend: BackendObservation | undefined,
): string {
  const [first, ...others] = snapshot.found
  const what =
    backend === undefined || !('hints' in target) ? describe(target) : `the device of ${backend.handle.identity.label}`
  if (first === undefined) {
    throw new VolumeExpansionError('not-found', `${what} was not found on ${host.id}.`, {
      layer: 'device',
      outcome: 'unchanged',
      remedy: 'Check that it is attached to this host and that the name is right.',
    })
  }
  if (others.length > 0) {
    const map = mapOf(snapshot, snapshot.found)
    if (map !== undefined) return map
    const names = snapshot.found.map((id) => snapshot.devices.find((device) => device.id === id)?.path ?? id)
    throw new VolumeExpansionError(
      'ambiguous',
      `${what} fits ${names.length} devices on ${host.id}: ${names.join(', ')}.`,
      {
        layer: 'device',
        outcome: 'unchanged',
        remedy: 'Detach what should not be there, or say which one is meant with `path` or `device`.',
      },
    )
  }
  return first
}

function requireVolumeBelow(
  snapshot: StorageSnapshot,
  top: string,
  expected: StorageSnapshot,
  host: Host,
  backend: BackendObservation | undefined,
): void {
  const below = disksOf(snapshot, top)
  if (reachable(snapshot, top).some(({ id }) => expected.found.includes(id))) return
  const paths = (ids: readonly string[], from: StorageSnapshot): string =>
    ids.map((id) => from.devices.find((device) => device.id === id)?.path ?? id).join(', ') || 'nothing'
  throw new VolumeExpansionError(
    'identity-mismatch',
    `What was named is on ${paths(below, snapshot)}, but ${backend?.handle.identity.label ?? 'the volume'} is ${paths(expected.found, expected)} on ${host.id}.`,
    { layer: 'device', outcome: 'unchanged', remedy: 'Name the volume that the path or device is really on.' },
  )
}

/** What keeps other runs of this process out of the disks of a place, in the order in which they are taken. */
export function diskKeys({ host, snapshot, top }: StorageObservation): readonly string[] {
  return disksOf(snapshot, top)
    .sort()
    .map((disk) => `disk:${host.id}:${disk}`)
}

/** Ids of the devices at the very bottom of a place. */
function disksOf(snapshot: StorageSnapshot, top: string): string[] {
  return reachable(snapshot, top)
    .filter(({ below }) => below.length === 0)
    .map(({ id }) => id)
}

function reachable(snapshot: StorageSnapshot, top: string): readonly DeviceSnapshot[] {
  const seen: DeviceSnapshot[] = []
  const visit = (id: string): void => {
    const device = snapshot.devices.find((candidate) => candidate.id === id)
    if (device === undefined || seen.includes(device)) return
    seen.push(device)
    device.below.forEach(visit)
  }
  visit(top)
  return seen
}

function lockHolders({ snapshot, top }: StorageObservation): readonly string[] {
  return reachable(snapshot, top).flatMap(({ path, locks }) =>
    locks.map(({ pid, command }) => `${command} (pid ${pid}) on ${path}`),
  )
}

function describeHolders(observation: StorageObservation): string {
  return `held by ${lockHolders(observation).join(', ') || 'nobody'}`
}

function describe(target: StorageTarget): string {
  if ('path' in target) return target.path
  if ('device' in target) return target.device
  if ('image' in target) return target.image
  return 'the device of the volume'
}
