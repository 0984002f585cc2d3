import type { Limit, VolumePhase, VolumeState, VolumeUser } from '../../src/expander.ts'
import type { Finding } from '../../src/findings.ts'
import { type Bytes, bytes, formatSize, GiB, maxSize } from '../../src/size.ts'
import { type GrowthMessage, messageCodes, microversions } from './client.ts'
import { type Fields, fieldsOf, integerOf, listOf, textOf, timeOf } from './json.ts'

/** A growth that this process has asked for, and of which it has not yet seen the end. */
export interface Asked {
  readonly gibibytes: number
  /** By Cinder's clock: milliseconds since 1970. Left out: the answer was lost, so that it may not have been accepted. */
  readonly at?: number
  readonly requestId?: string
}

/** What is known besides the volume itself. */
export interface Circumstances {
  /** The minor number of the microversion. */
  readonly version: number
  readonly quota?: Fields | undefined
  /** The newest message about a growth of the volume. */
  readonly message?: GrowthMessage | undefined
  readonly asked?: Asked | undefined
  readonly overhead?: Bytes | undefined
}

/** Bytes of a volume that was described in full, as Cinder counts them. */
export function sizeOf(volume: Fields): Bytes {
  return bytes(BigInt(integerOf(volume['size']) ?? 0) * GiB)
}

export function statusOf(volume: Fields): string {
  return textOf(volume['status']) ?? 'unknown'
}

/** Whether nothing is under way: what is asked for now begins. */
export function isSettled(volume: Fields): boolean {
  return phaseOf(statusOf(volume)) === 'stable'
}

// All states are in the API reference, "Volumes (volumes)"; only in the first two a growth can begin.
function phaseOf(status: string): VolumePhase {
  switch (status) {
    case 'available':
    case 'in-use':
      return 'stable'
    case 'extending':
      return 'growing'
    case 'error_extending':
      return 'failed'
    default:
      return 'unusable'
  }
}

/** What Cinder says of a volume, in the words of the library. */
export function stateOf(key: string, volume: Fields, circumstances: Circumstances): VolumeState {
  const { version, quota, asked, overhead } = circumstances
  const status = statusOf(volume)
  const size = sizeOf(volume)
  const vanished = reasonOfVanished(volume, circumstances)
  const phase = vanished === undefined ? phaseOf(status) : 'failed'
  const users = usersOf(volume)
  const target = phase === 'growing' && asked?.at !== undefined ? gibibytes(asked.gibibytes) : size
  const findings = [
    ...failureFindings(key, phase, circumstances, vanished),
    ...movingFindings(key, volume),
    ...passingFindings(key, volume, circumstances),
    ...encryptionFindings(key, volume, overhead),
  ]
  return {
    ...{ key, size, phase, native: status, limits: limitsOf(volume, quota) },
    // Above that microversion it depends on a policy, on the driver and on Nova, none of which a member of the project can see.
    ...(version < microversions.extendInUse ? { onlineGrowth: false } : {}),
    ...(target > size ? { growingTo: target } : {}),
    ...(users === undefined ? {} : { users }),
    ...(overhead === undefined ? {} : { overhead }),
    ...(findings.length === 0 ? {} : { findings }),
  }
}

/** At most what can be told in bytes: quotas may be any number. */
function gibibytes(count: number): Bytes {
  return bounded(BigInt(count) * GiB)
}

function bounded(size: bigint): Bytes {
  return size < maxSize ? bytes(size) : maxSize
}

// Milliseconds: times in Cinder's database are whole seconds, and of more than one machine.
const rounding = 2000

function isAbout({ at, requestId }: GrowthMessage, asked: Asked): boolean {
  if (requestId !== undefined && requestId === asked.requestId) return true
  return asked.at !== undefined && at >= asked.at - rounding
}

/** A growth that was accepted and then dropped, as by a scheduler that finds no room: the volume is as it was, and only a message tells. */
function reasonOfVanished(volume: Fields, { asked, message }: Circumstances): string | undefined {
  if (asked === undefined || message === undefined || message.code === messageCodes.notPassedOn) return undefined
  if (!isSettled(volume) || sizeOf(volume) >= gibibytes(asked.gibibytes) || !isAbout(message, asked)) return undefined
  return message.text
}

function failureFindings(
  key: string,
  phase: VolumePhase,
  { message }: Circumstances,
  vanished: string | undefined,
): readonly Finding[] {
  if (vanished !== undefined) {
    return [
      finding(
        'warning',
        'wrong-state',
        `The growth of ${key} was given up: ${vanished}`,
        'See that the backend has room, and run it again.',
      ),
    ]
  }
  if (phase !== 'failed') return []
  const reason =
    message === undefined || message.code === messageCodes.notPassedOn ? '' : ` Cinder says: ${message.text}`
  return [
    finding(
      'warning',
      'wrong-state',
      `The last growth of ${key} failed at its backend.${reason}`,
      `Ask an administrator to see the log of cinder-volume, and to set the state back: openstack volume set --state available ${key} (or in-use).`,
    ),
  ]
}

// Values of migration_status and replication_status while something is under way.
const moving = /^(?:starting|migrating|completing)$/

function movingFindings(key: string, volume: Fields): readonly Finding[] {
  const migration = textOf(volume['migration_status'])
  const replication = textOf(volume['replication_status'])
  const remedy = 'Run it again when that has ended.'
  const found: Finding[] = []
  if (migration !== undefined && moving.test(migration)) {
    found.push(finding('blocker', 'wrong-state', `${key} is being moved to another backend (${migration}).`, remedy))
  }
  if (replication === 'failing-over') {
    found.push(finding('blocker', 'wrong-state', `${key} is being failed over to its replica.`, remedy))
  }
  return found
}

/** Nova was not reached after a growth in use. A message stays for 30 days: it counts only while nothing has happened to the volume since. */
function passingFindings(key: string, volume: Fields, { message, asked }: Circumstances): readonly Finding[] {
  if (statusOf(volume) !== 'in-use' || message?.code !== messageCodes.notPassedOn) return []
  const changed = timeOf(volume['updated_at'])
  const own = message.requestId !== undefined && message.requestId === asked?.requestId
  // Both times are of cinder-volume's clock.
  if (!own && changed !== undefined && message.at < changed) return []
  const untold = listOf(volume['attachments']).filter(
    (attachment) => (timeOf(attachment['attached_at']) ?? 0) <= message.at,
  )
  if (untold.length === 0) return []
  const servers = untold.map((attachment) => textOf(attachment['server_id']) ?? 'unknown').join(', ')
  return [
    finding(
      'warning',
      'growth-not-passed-on',
      `${key} has ${formatSize(sizeOf(volume))}, and Nova was not reached to tell the server ${servers}: ${message.text}`,
      `See that Nova runs, on the host of the server as well. Then either grow the volume once more, by 1 GiB, or have an administrator send Nova the event volume-extended, or reboot the server hard (openstack server reboot --hard ${servers}).`,
    ),
  ]
}

function encryptionFindings(key: string, volume: Fields, overhead: Bytes | undefined): readonly Finding[] {
  if (volume['encrypted'] !== true || overhead !== undefined) return []
  return [
    finding(
      'warning',
      'not-visible-by-itself',
      `${key} is encrypted: the server sees less than the volume has, by a header whose length Cinder does not tell.`,
      'Give that difference as `overhead`: the size of the volume minus what blockdev --getsize64 says on the server.',
    ),
  ]
}

function finding(severity: Finding['severity'], code: Finding['code'], message: string, remedy: string): Finding {
  return { code, severity, layer: 'volume', message, remedy }
}

/** Who has the volume; undefined where it is in use and Cinder does not say by whom. */
function usersOf(volume: Fields): readonly VolumeUser[] | undefined {
  const attachments = listOf(volume['attachments'])
  const users = attachments.map((attachment): VolumeUser => {
    const server = textOf(attachment['server_id'])
    const host = textOf(attachment['host_name'])
    const device = textOf(attachment['device'])
    const who = server !== undefined ? `server ${server}` : host !== undefined ? `host ${host}` : 'an attachment'
    return { kind: 'attachment', description: device === undefined ? who : `${who} as ${device}` }
  })
  return users.length === 0 && statusOf(volume) !== 'available' ? undefined : users
}

/** What the quota of its project leaves for a volume: in all, for its type, and for any one volume. */
function limitsOf(volume: Fields, quota: Fields | undefined): readonly Limit[] {
  if (quota === undefined) return []
  const size = sizeOf(volume)
  const type = textOf(volume['volume_type'])
  const found: Limit[] = []
  for (const name of ['gigabytes', ...(type === undefined ? [] : [`gigabytes_${type}`])]) {
    const { limit, used } = usageOf(quota[name])
    if (limit === undefined || limit < 0) continue
    const free = gibibytes(Math.max(0, limit - used))
    found.push({
      what: 'quota',
      most: bounded(size + free),
      source: `the project's quota ${name}: ${used} of ${limit} GiB are used`,
    })
  }
  const { limit } = usageOf(quota['per_volume_gigabytes'])
  if (limit !== undefined && limit > 0) {
    found.push({ what: 'size', most: gibibytes(limit), source: "the project's quota per_volume_gigabytes" })
  }
  return found
}

function usageOf(value: unknown): { readonly limit: number | undefined; readonly used: number } {
  const { limit, in_use: inUse, reserved } = fieldsOf(value)
  return { limit: integerOf(limit), used: (integerOf(inUse) ?? 0) + (integerOf(reserved) ?? 0) }
}
