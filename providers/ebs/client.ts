import { VolumeExpansionError } from '../../src/errors.ts'
import { linkedController } from '../../src/services/abortable.ts'
import { GiB, maxSize } from '../../src/size.ts'
import { providerName } from './errors.ts'
import { readInPortions } from './portions.ts'
import { shared } from './words.ts'

/** What is used of a client of EC2: the `EC2Client` of @aws-sdk/client-ec2, or anything that takes its commands. */
export interface Ec2Client {
  send(command: object, options?: object): Promise<unknown>
}

/** Fields of the SDK's `Volume` that are used. */
export interface SdkVolume {
  readonly VolumeId?: string
  readonly Size?: number
  readonly State?: string
  readonly VolumeType?: string
  readonly Iops?: number
  readonly Throughput?: number
  readonly MultiAttachEnabled?: boolean
  readonly Attachments?: readonly { readonly InstanceId?: string; readonly Device?: string; readonly State?: string }[]
  readonly Operator?: { readonly Managed?: boolean; readonly Principal?: string }
}

/** Fields of the SDK's `VolumeModification` that are used. */
export interface SdkModification {
  readonly VolumeId?: string
  readonly ModificationState?: string
  readonly StatusMessage?: string
  readonly OriginalSize?: number
  readonly TargetSize?: number
  readonly Progress?: number
  /** Its `StartTime`, in milliseconds since 1970: as a date it would take several times the memory, for each of ten thousand volumes. */
  readonly startedAt?: number
}

/** Fields of the SDK's `Snapshot` that are used. */
export interface SdkSnapshot {
  readonly SnapshotId?: string
  readonly State?: string
  readonly StartTime?: Date
  readonly Progress?: string
}

export interface ModifyInput {
  readonly VolumeId: string
  /** GiB. */
  readonly Size: number
  readonly Iops?: number
  readonly Throughput?: number
  readonly VolumeType?: string
}

export interface Tag {
  readonly Key: string
  readonly Value: string
}

/** The actions of EC2 that growing volumes takes. Each rejects with what the client rejected with. */
export interface Ec2Calls {
  /** @param ids at most 500; a missing one fails the whole call */
  volumesByIds(ids: readonly string[], signal?: AbortSignal): Promise<readonly SdkVolume[]>
  /** @param ids at most 200; a missing one is left out */
  volumesByFilter(ids: readonly string[], signal?: AbortSignal): Promise<readonly SdkVolume[]>
  /** @param ids at most 500; one that was never modified fails the whole call */
  modificationsByIds(ids: readonly string[], signal?: AbortSignal): Promise<readonly SdkModification[]>
  /** @param ids at most 200; one that was never modified is left out */
  modificationsByFilter(ids: readonly string[], signal?: AbortSignal): Promise<readonly SdkModification[]>
  modify(input: ModifyInput, signal?: AbortSignal): Promise<SdkModification | undefined>
  createSnapshot(id: string, description: string, tags: readonly Tag[], signal?: AbortSignal): Promise<SdkSnapshot>
  snapshotsByTag(id: string, tag: Tag, signal?: AbortSignal): Promise<readonly SdkSnapshot[]>
  snapshot(id: string, signal?: AbortSignal): Promise<SdkSnapshot | undefined>
}

type CommandName =
  | 'DescribeVolumesCommand'
  | 'DescribeVolumesModificationsCommand'
  | 'ModifyVolumeCommand'
  | 'CreateSnapshotCommand'
  | 'DescribeSnapshotsCommand'

const lists: ReadonlySet<CommandName> = new Set(['DescribeVolumesCommand', 'DescribeVolumesModificationsCommand'])

/** What is used of the package, in own words: it is an optional peer, and no declaration may name it. */
export type SdkModule = Readonly<Record<CommandName, new (input: object) => object>> & {
  readonly EC2Client: new (configuration: object) => Ec2Client
}

/**
 * Milliseconds for the HTTP handler of the SDK, which has none of its own for an answer: over a connection that has died without a word, a call would never end
 * (`requestTimeout` of @smithy/node-http-handler, which without `throwOnRequestTimeout` only warns).
 */
export const deadlines: {
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly throwOnRequestTimeout: true
} = { connectionTimeout: 10_000, requestTimeout: 60_000, throwOnRequestTimeout: true }

let loading: Promise<SdkModule> | undefined

/** @throws {VolumeExpansionError} `invalid-request` when the package is not installed */
export function loadSdk(): Promise<SdkModule> {
  loading ??= load()
  return loading
}

async function load(): Promise<SdkModule> {
  try {
    return (await import('@aws-sdk/client-ec2')) as unknown as SdkModule
  } catch (cause) {
    loading = undefined
    throw new VolumeExpansionError(
      'invalid-request',
      'ebs() needs the package @aws-sdk/client-ec2, which is missing.',
      {
        ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', cause },
        remedy: 'Install it beside this library: npm install @aws-sdk/client-ec2',
      },
    )
  }
}

// Clients of all kinds answer here: what is not of the type that it should have was not said. Written part by part, so that what is held of ten thousand volumes
// takes no more room than it has to.

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

function usedOfVolume(given: unknown): SdkVolume {
  const volume = recordOf(given)
  const used: Mutable<SdkVolume> = {}
  keepTexts(used, volume, ['VolumeId'])
  keepWords(used, volume, ['State', 'VolumeType'])
  keepSizes(used, volume, ['Size'])
  keepNumbers(used, volume, ['Iops', 'Throughput'])
  if (typeof volume['MultiAttachEnabled'] === 'boolean') used.MultiAttachEnabled = volume['MultiAttachEnabled']
  const attachments = listOf(volume['Attachments'])
  if (attachments.length > 0) used.Attachments = attachments.map(usedOfAttachment)
  const operator = recordOf(volume['Operator'])
  if (operator['Managed'] === true) {
    const principal = operator['Principal']
    used.Operator = { Managed: true, ...(typeof principal === 'string' ? { Principal: principal } : {}) }
  }
  return used
}

type SdkAttachment = NonNullable<SdkVolume['Attachments']>[number]

function usedOfAttachment(given: unknown): SdkAttachment {
  const attachment = recordOf(given)
  const used: Mutable<SdkAttachment> = {}
  keepTexts(used, attachment, ['InstanceId', 'Device'])
  keepWords(used, attachment, ['State'])
  return used
}

function usedOfModification(given: unknown): SdkModification {
  const modification = recordOf(given)
  const used: Mutable<SdkModification> = {}
  keepTexts(used, modification, ['VolumeId', 'StatusMessage'])
  keepWords(used, modification, ['ModificationState'])
  keepSizes(used, modification, ['OriginalSize', 'TargetSize'])
  keepNumbers(used, modification, ['Progress'])
  const start = modification['StartTime']
  if (start instanceof Date && !Number.isNaN(start.getTime())) used.startedAt = start.getTime()
  return used
}

type Given = Readonly<Record<string, unknown>>

function recordOf(value: unknown): Given {
  return typeof value === 'object' && value !== null ? (value as Given) : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function keepTexts<Name extends string>(used: { [K in Name]?: string }, from: Given, names: readonly Name[]): void {
  for (const name of names) {
    const value = from[name]
    if (typeof value === 'string') used[name] = value
  }
}

function keepWords<Name extends string>(used: { [K in Name]?: string }, from: Given, names: readonly Name[]): void {
  for (const name of names) {
    const value = from[name]
    if (typeof value === 'string') used[name] = shared(value)
  }
}

function keepNumbers<Name extends string>(used: { [K in Name]?: number }, from: Given, names: readonly Name[]): void {
  for (const name of names) {
    const value = from[name]
    if (typeof value === 'number' && Number.isFinite(value)) used[name] = value
  }
}

/** GiB that can be told in bytes below 2^63. */
function keepSizes<Name extends string>(used: { [K in Name]?: number }, from: Given, names: readonly Name[]): void {
  for (const name of names) {
    const value = from[name]
    if (Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= largestSize) used[name] = Number(value)
  }
}

const largestSize = Number(maxSize / GiB)

/**
 * The calls on a client that is made, or given, when the first of them is.
 *
 * @param isPatient whether others have their turn while a long answer is read; on a clock of tests, time would pass meanwhile
 */
export function ec2Calls(client: () => Promise<Ec2Client>, isPatient = true): Ec2Calls {
  async function send<Output>(name: CommandName, input: object, signal: AbortSignal | undefined): Promise<Output> {
    const [sdk, sender] = await Promise.all([loadSdk(), client()])
    const command = new sdk[name](input)
    if (lists.has(name)) readInPortions(command, isPatient)
    // The SDK listens to what it is given for each request, and Node warns of a leak from the eleventh on: one signal for a fleet of volumes would have it warn.
    const { controller, unlink } = linkedController(signal)
    try {
      return (await sender.send(command, signal === undefined ? {} : { abortSignal: controller.signal })) as Output
    } finally {
      unlink()
    }
  }

  async function all(
    name: CommandName,
    input: object,
    member: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    const items: unknown[] = []
    let token: unknown
    for (;;) {
      const more = token === undefined ? {} : { NextToken: token }
      const output = recordOf(await send<unknown>(name, { ...input, ...more }, signal))
      items.push(...listOf(output[member]))
      const { NextToken: next } = output
      if (typeof next !== 'string' || next === '') return items
      if (next === token) throw Object.assign(new Error('the list never ends'), { name: 'RepeatedToken' })
      token = next
    }
  }

  // Only what is used is kept: ten thousand volumes are remembered while they grow.
  const volumes = async (input: object, signal?: AbortSignal): Promise<readonly SdkVolume[]> =>
    (await all('DescribeVolumesCommand', input, 'Volumes', signal)).map(usedOfVolume)
  const modifications = async (input: object, signal?: AbortSignal): Promise<readonly SdkModification[]> =>
    (await all('DescribeVolumesModificationsCommand', input, 'VolumesModifications', signal)).map(usedOfModification)
  const snapshots = async (input: object, signal?: AbortSignal): Promise<readonly SdkSnapshot[]> =>
    (await all('DescribeSnapshotsCommand', input, 'Snapshots', signal)).map((snapshot) => recordOf(snapshot))
  const byId = (ids: readonly string[]): object => ({ Filters: [{ Name: 'volume-id', Values: ids }], MaxResults: 500 })

  return {
    volumesByIds: (ids, signal) => volumes({ VolumeIds: ids }, signal),
    volumesByFilter: (ids, signal) => volumes(byId(ids), signal),
    modificationsByIds: (ids, signal) => modifications({ VolumeIds: ids }, signal),
    modificationsByFilter: (ids, signal) => modifications(byId(ids), signal),
    async modify(input, signal) {
      const { VolumeModification: begun } = recordOf(await send<unknown>('ModifyVolumeCommand', input, signal))
      return begun === undefined ? undefined : usedOfModification(begun)
    },
    createSnapshot(id, description, tags, signal) {
      const TagSpecifications = [{ ResourceType: 'snapshot', Tags: tags }]
      return send('CreateSnapshotCommand', { VolumeId: id, Description: description, TagSpecifications }, signal)
    },
    snapshotsByTag(id, { Key, Value }, signal) {
      const Filters = [
        { Name: 'volume-id', Values: [id] },
        { Name: `tag:${Key}`, Values: [Value] },
      ]
      return snapshots({ Filters }, signal)
    },
    async snapshot(id, signal) {
      const [found] = await snapshots({ SnapshotIds: [id] }, signal)
      return found
    },
  }
}
