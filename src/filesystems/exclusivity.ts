import type { Finding } from '../findings.ts'
import type { DeviceSnapshot, StorageSnapshot, UsersSnapshot } from '../hosts/host.ts'
import type { GrowthContext } from '../layers/layer.ts'
import { blocker, bottomsOf, finding } from './prescription.ts'

/** What the filesystem itself says of its use. */
interface OwnWitness {
  /** Who has it, such as the node in a multiple-mount-protection block. */
  readonly nodes?: readonly string[]
  /** It was not unmounted cleanly: it crashed, or is in use this very moment. */
  readonly dirty?: boolean
}

/**
 * What stands against writing to a filesystem that is not mounted here: permission, anybody who has it, and anything that could not be seen. Offline writes are
 * safe only with exclusivity that is **known**: a disk that another machine has mounted looks just like one that was not unmounted cleanly.
 */
export function offlineFindings(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  context: GrowthContext,
  { nodes = [], dirty = false }: OwnWitness = {},
): readonly Finding[] {
  const users = usersOf(device, context, nodes)
  const warning = dirty
    ? ' It was not unmounted cleanly, which is also how a disk looks that another machine has mounted now.'
    : ''
  if (users.length > 0) {
    return [
      blocker(
        'in-use',
        `${device.path} is not mounted here, but in use: ${users.join('; ')}.`,
        'Grow it where it is in use, or end that use first.',
      ),
    ]
  }
  if (!context.offline) {
    return [
      blocker(
        'needs-offline',
        `${device.path} is not mounted, so growing its filesystem means writing to it offline.`,
        `Mount it and run this again, which grows it online; or, if nobody else has the device, say \`offline: true\`.${warning}`,
      ),
    ]
  }
  const unknown = unknownsOf(device, snapshot, context)
  if (unknown.length > 0) {
    return [
      blocker(
        'exclusivity-unknown',
        `It cannot be known that nobody else uses ${device.path}: ${unknown.join('; ')}.`,
        context.backendUsers === undefined
          ? 'Mount it here and run this again, which grows it online; or name its volume, if the backend knows who has it.'
          : 'Mount it here and run this again, which grows it online.',
      ),
    ]
  }
  return [
    finding(
      'offline-not-crash-safe',
      'warning',
      `${device.path} will be written to offline: a power cut meanwhile can lose data.`,
      'Have a backup or a snapshot, or mount it and run this again.',
    ),
  ]
}

function usersOf(device: DeviceSnapshot, context: GrowthContext, nodes: readonly string[]): readonly string[] {
  const { users } = device
  return [
    ...list('held by', device.holders),
    ...list('the kernel has partitions of it:', device.partitions),
    ...list(
      'attached as',
      (users?.loops ?? []).filter((name) => name !== device.name),
    ),
    ...list('mounted in another mount namespace, seen by', (users?.foreignMounts ?? []).map(processText)),
    ...list('open in', (users?.openers ?? []).map(processText)),
    ...(users?.swap === true ? ['it is active swap space'] : []),
    // A busy device without a user that can be named: a mount that cannot be seen, a kernel driver.
    ...(users?.exclusive === 'busy' ? ['the kernel says that it is claimed exclusively'] : []),
    ...list('the backend knows of', context.backendUsers?.others ?? []),
    ...list('according to the filesystem itself, by', nodes),
  ]
}

function unknownsOf(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): readonly string[] {
  const { users } = device
  const unknown: string[] = []
  if (users === undefined) unknown.push('its users were not looked for')
  else if (!users.complete) unknown.push(...unseenOf(users))
  if (device.kind === 'block' && users !== undefined && users.exclusive === undefined) {
    unknown.push('it could not be opened exclusively')
  }
  if (context.backendUsers?.known === true) return unknown
  for (const bottom of bottomsOf(device, snapshot)) {
    if (!isMachineLocal(bottom)) {
      unknown.push(
        bottom.kind === 'image'
          ? `${bottom.path} is on a filesystem that other machines may have too`
          : `${bottom.path} may be attached to other machines too`,
      )
    }
  }
  if (context.backendUsers !== undefined) unknown.push('the backend does not tell who has the volume')
  return unknown
}

/** Whether no other machine can have it. Disks of every bus can be shared (a SAN, a cloud's multi-attach, one image under two virtual machines). */
function isMachineLocal(device: DeviceSnapshot): boolean {
  if (device.kind === 'image') return device.users?.localBacking === true
  if (/^loop\d+$/.test(device.name)) return device.users?.localBacking === true
  return /^(?:ram|brd|zram)\d+$/.test(device.name)
}

function unseenOf({ unseen = [] }: UsersSnapshot): readonly string[] {
  if (unseen.length === 0) return ['not every process could be looked at']
  return list('some processes could not be looked at, such as', unseen.map(processText))
}

function processText({ pid, command }: { readonly pid: number; readonly command: string }): string {
  return `${command} (pid ${pid})`
}

function list(prefix: string, names: readonly string[]): readonly string[] {
  return names.length === 0 ? [] : [`${prefix} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ' …' : ''}`]
}
