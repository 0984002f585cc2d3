import { VolumeExpansionError } from '../../src/errors.ts'
import { providerName } from './errors.ts'

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
  readonly StartTime?: Date
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

/** What is used of the package, in own words: it is an optional peer, and no declaration may name it. */
export type SdkModule = Readonly<Record<CommandName, new (input: object) => object>> & {
  readonly EC2Client: new (configuration: object) => Ec2Client
}

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

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

// Written part by part, so that what is held of ten thousand volumes takes no more room than it has to.
function usedOfVolume(volume: SdkVolume): SdkVolume {
  const { VolumeId, Size, State, VolumeType, Iops, Throughput, MultiAttachEnabled, Attachments = [], Operator } = volume
  const used: Mutable<SdkVolume> = {}
  if (VolumeId !== undefined) used.VolumeId = VolumeId
  if (Size !== undefined) used.Size = Size
  if (State !== undefined) used.State = shared(State)
  if (VolumeType !== undefined) used.VolumeType = shared(VolumeType)
  if (Iops !== undefined) used.Iops = Iops
  if (Throughput !== undefined) used.Throughput = Throughput
  if (MultiAttachEnabled !== undefined) used.MultiAttachEnabled = MultiAttachEnabled
  if (Attachments.length > 0) used.Attachments = Attachments.map(usedOfAttachment)
  if (Operator?.Managed === true) used.Operator = Operator
  return used
}

type SdkAttachment = NonNullable<SdkVolume['Attachments']>[number]

function usedOfAttachment({ InstanceId, Device, State }: SdkAttachment): SdkAttachment {
  const used: Mutable<SdkAttachment> = {}
  if (InstanceId !== undefined) used.InstanceId = InstanceId
  if (Device !== undefined) used.Device = Device
  if (State !== undefined) used.State = shared(State)
  return used
}

function usedOfModification(modification: SdkModification): SdkModification {
  const { VolumeId, ModificationState, StatusMessage, OriginalSize, TargetSize, Progress, StartTime } = modification
  const used: Mutable<SdkModification> = {}
  if (VolumeId !== undefined) used.VolumeId = VolumeId
  if (ModificationState !== undefined) used.ModificationState = shared(ModificationState)
  if (StatusMessage !== undefined) used.StatusMessage = StatusMessage
  if (OriginalSize !== undefined) used.OriginalSize = OriginalSize
  if (TargetSize !== undefined) used.TargetSize = TargetSize
  if (Progress !== undefined) used.Progress = Progress
  if (StartTime !== undefined) used.StartTime = StartTime
  return used
}

const words = new Map<string, string>()

/** One string for each of the few words that EC2 has for states and types, instead of one for each volume. */
function shared(word: string): string {
  const known = words.get(word)
  if (known !== undefined) return known
  if (words.size < 100) words.set(word, word)
  return word
}

interface Page {
  readonly NextToken?: string
}

/** The calls on a client that is made, or given, when the first of them is. */
export function ec2Calls(client: () => Promise<Ec2Client>): Ec2Calls {
  async function send<Output>(name: CommandName, input: object, signal: AbortSignal | undefined): Promise<Output> {
    const [sdk, sender] = await Promise.all([loadSdk(), client()])
    return (await sender.send(new sdk[name](input), signal === undefined ? {} : { abortSignal: signal })) as Output
  }

  async function all<Output extends Page, Item>(
    name: CommandName,
    input: object,
    itemsOf: (output: Output) => readonly Item[] | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly Item[]> {
    const items: Item[] = []
    let more: Page = {}
    do {
      const output: Output = await send<Output>(name, { ...input, ...more }, signal)
      items.push(...(itemsOf(output) ?? []))
      more = output.NextToken ? { NextToken: output.NextToken } : {}
    } while (more.NextToken !== undefined)
    return items
  }

  // Only what is used is kept: ten thousand volumes are remembered while they grow.
  const volumes = (input: object, signal?: AbortSignal): Promise<readonly SdkVolume[]> =>
    all(
      'DescribeVolumesCommand',
      input,
      (output: Page & { Volumes?: SdkVolume[] }) => output.Volumes?.map(usedOfVolume),
      signal,
    )
  const modifications = (input: object, signal?: AbortSignal): Promise<readonly SdkModification[]> =>
    all(
      'DescribeVolumesModificationsCommand',
      input,
      (output: Page & { VolumesModifications?: SdkModification[] }) =>
        output.VolumesModifications?.map(usedOfModification),
      signal,
    )
  const snapshots = (input: object, signal?: AbortSignal): Promise<readonly SdkSnapshot[]> =>
    all('DescribeSnapshotsCommand', input, (output: Page & { Snapshots?: SdkSnapshot[] }) => output.Snapshots, signal)
  const byId = (ids: readonly string[]): object => ({ Filters: [{ Name: 'volume-id', Values: ids }], MaxResults: 500 })

  return {
    volumesByIds: (ids, signal) => volumes({ VolumeIds: ids }, signal),
    volumesByFilter: (ids, signal) => volumes(byId(ids), signal),
    modificationsByIds: (ids, signal) => modifications({ VolumeIds: ids }, signal),
    modificationsByFilter: (ids, signal) => modifications(byId(ids), signal),
    async modify(input, signal) {
      const output = await send<{ VolumeModification?: SdkModification }>('ModifyVolumeCommand', input, signal)
      return output.VolumeModification && usedOfModification(output.VolumeModification)
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
