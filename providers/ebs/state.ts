import type { VolumeState, VolumeUser } from '../../src/expander.ts'
import type { Finding } from '../../src/findings.ts'
import { type Bytes, bytes, GiB } from '../../src/size.ts'
import type { SdkModification, SdkVolume } from './client.ts'
import { type EbsVolumeType, isVolumeType, limitsOf, nextModificationAt, performanceFindings } from './limits.ts'
import { shared } from './words.ts'

/** What was seen of one volume. */
export interface Sight {
  readonly volume: SdkVolume
  /** The newest of its modifications, by start time; undefined when it was never modified, as far as EC2 shows. */
  readonly newest: SdkModification | undefined
  /** When its modifications began, as far as EC2 shows them; milliseconds since 1970. */
  readonly starts: readonly number[]
}

/** What somebody wishes of a volume, as far as it matters to its state. */
export interface Wishes {
  readonly type?: EbsVolumeType
  readonly iops?: number
  readonly throughput?: number
}

/** A state with the names that the instances know the volume by, for hosts whose devices show no serial. */
export interface EbsState extends VolumeState {
  readonly devices: readonly string[]
}

/** EC2 can return a volume's whole history, in any order. */
export function newestOf(modifications: readonly SdkModification[]): SdkModification | undefined {
  return modifications.reduce<SdkModification | undefined>(
    (newest, modification) =>
      newest === undefined || startOf(modification) >= startOf(newest) ? modification : newest,
    undefined,
  )
}

export function isUnderWay(modification: SdkModification | undefined): boolean {
  return modification?.ModificationState === 'modifying'
}

const usable = new Set(['available', 'in-use'])

/**
 * The state of a volume.
 *
 * @param awaited the start of the modification that this process asked for or joined: only that one's failure is the volume's, an older one says nothing of what it
 * can do now (EBS User Guide: retry it)
 */
export function stateOf(
  key: string,
  { volume, newest, starts }: Sight,
  wishes: Wishes,
  awaited: number | undefined,
  now: Date,
): EbsState {
  const native = volume.State ?? 'unknown'
  const modification = newest?.ModificationState
  const shown = gib(volume.Size ?? 0)
  const original = gib(newest?.OriginalSize)
  const target = gib(newest?.TargetSize)
  // DescribeVolumes may show the new size before the modification has come so far that it can be used.
  const size = modification === 'modifying' && original !== undefined ? least(shown, original) : shown
  const isLagging =
    (modification === 'optimizing' || modification === 'completed') && target !== undefined && target > size
  const isGrowing = modification === 'modifying' || isLagging
  const hasFailed = modification === 'failed' && awaited !== undefined && startOf(newest) >= awaited
  const nextChangeAt = isGrowing || hasFailed ? undefined : nextModificationAt(starts, now)
  const { MultiAttachEnabled = false, Attachments = [] } = volume
  const type = wishes.type ?? (isVolumeType(volume.VolumeType) ? volume.VolumeType : undefined)
  // Written part by part: thousands of states are held at a time, and one that is put together of many objects takes several times as much.
  const state: { -readonly [Name in keyof EbsState]: EbsState[Name] } = {
    key,
    size,
    phase: !usable.has(native) ? 'unusable' : hasFailed ? 'failed' : isGrowing ? 'growing' : 'stable',
    native: modification === undefined || modification === 'completed' ? native : shared(`${native}, ${modification}`),
    users: Attachments.length === 0 ? none : usersOf(Attachments, MultiAttachEnabled),
    findings: findingsOf(volume, newest, hasFailed, type === undefined ? [] : performanceFindings(type, wishes)),
    devices:
      Attachments.length === 0 ? none : Attachments.flatMap(({ Device }) => (Device === undefined ? [] : [Device])),
  }
  // A transient fault of AWS; "retry the volume modification" (EBS User Guide).
  if (hasFailed) state.repeatable = true
  if (isGrowing && target !== undefined && target > size) state.growingTo = target
  if (isGrowing && newest?.Progress !== undefined) state.progress = Math.min(100, Math.max(0, newest.Progress)) / 100
  if (type !== undefined) state.limits = limitsOf(type)
  if (nextChangeAt !== undefined) state.nextChangeAt = nextChangeAt
  if (modification === 'modifying' || modification === 'optimizing') {
    state.changeBlockedBy = shared(`a modification is ${modification}, and has to be completed before the next`)
  }
  return state
}

const none: readonly never[] = []

function gib(size: number): Bytes
function gib(size: number | undefined): Bytes | undefined
function gib(size: number | undefined): Bytes | undefined {
  return size === undefined ? undefined : bytes(BigInt(size) * GiB)
}

function least(one: Bytes, other: Bytes): Bytes {
  return one < other ? one : other
}

function startOf(modification: SdkModification | undefined): number {
  return modification?.startedAt ?? Number.NEGATIVE_INFINITY
}

function usersOf(attachments: NonNullable<SdkVolume['Attachments']>, isShared: boolean): readonly VolumeUser[] {
  const attached = attachments.filter(({ State }) => State !== 'detached')
  // Without multi-attach there is one attachment at the most: whoever shows the volume's device is that one.
  const isDevice = attached.length === 1 && !isShared
  return attached.map(({ InstanceId = 'an instance', Device = 'a device' }) => ({
    kind: 'attachment',
    description: `instance ${InstanceId} as ${Device}`,
    ...(isDevice ? { isDevice } : {}),
  }))
}

function findingsOf(
  { VolumeId = 'the volume', Operator }: SdkVolume,
  newest: SdkModification | undefined,
  hasFailed: boolean,
  performance: readonly Finding[],
): readonly Finding[] {
  if (performance.length === 0 && Operator?.Managed !== true && newest?.ModificationState !== 'failed') return none
  const found: Finding[] = [...performance]
  if (Operator?.Managed === true) {
    found.push({
      ...{ code: 'owned-elsewhere', severity: 'blocker', layer: 'volume' },
      message: `${VolumeId} is managed by ${Operator.Principal ?? 'a service of AWS'}, which alone may modify it.`,
      remedy: 'Have that service grow it.',
    })
  }
  if (newest?.ModificationState === 'failed') {
    const reason = newest.StatusMessage === undefined ? '' : ` EC2 says: ${newest.StatusMessage}`
    found.push({
      ...{ code: 'wrong-state', severity: 'warning', layer: 'volume' },
      message: `${hasFailed ? 'The' : 'The last'} modification of ${VolumeId} failed.${reason}`,
      remedy: 'Run it again; if it fails again, ask AWS Support.',
    })
  }
  return found
}
