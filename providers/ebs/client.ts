import { VolumeExpansionError } from '../../src/errors.ts'
import { GiB, maxSize } from '../../src/size.ts'
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

// Clients of all kinds answer here: what is not of the type that it should have was not said.

function usedOfVolume(given: unknown): SdkVolume {
  const volume = recordOf(given)
  const operator = recordOf(volume['Operator'])
  const attachments = listOf(volume['Attachments']).map((attachment) =>
    texts(recordOf(attachment), ['InstanceId', 'Device', 'State']),
  )
  return defined({
    ...texts(volume, ['VolumeId', 'State', 'VolumeType']),
    Size: gibibytesOf(volume['Size']),
    Iops: numberOf(volume['Iops']),
    Throughput: numberOf(volume['Throughput']),
    MultiAttachEnabled: typeof volume['MultiAttachEnabled'] === 'boolean' ? volume['MultiAttachEnabled'] : undefined,
    Attachments: attachments.length === 0 ? undefined : attachments,
    Operator: operator['Managed'] === true ? { Managed: true, ...texts(operator, ['Principal']) } : undefined,
  })
}

function usedOfModification(given: unknown): SdkModification {
  const modification = recordOf(given)
  const start = modification['StartTime']
  return defined({
    ...texts(modification, ['VolumeId', 'ModificationState', 'StatusMessage']),
    OriginalSize: gibibytesOf(modification['OriginalSize']),
    TargetSize: gibibytesOf(modification['TargetSize']),
    Progress: numberOf(modification['Progress']),
    StartTime: start instanceof Date && !Number.isNaN(start.getTime()) ? start : undefined,
  })
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function texts<Name extends string>(
  from: Readonly<Record<string, unknown>>,
  names: readonly Name[],
): { [K in Name]?: string } {
  return Object.fromEntries(names.flatMap((name) => (typeof from[name] === 'string' ? [[name, from[name]]] : []))) as {
    [K in Name]?: string
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** GiB that can be told in bytes below 2^63. */
function gibibytesOf(value: unknown): number | undefined {
  const isSize = Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= Number(maxSize / GiB)
  return isSize ? Number(value) : undefined
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** The calls on a client that is made, or given, when the first of them is. */
export function ec2Calls(client: () => Promise<Ec2Client>): Ec2Calls {
  async function send<Output>(name: CommandName, input: object, signal: AbortSignal | undefined): Promise<Output> {
    const [sdk, sender] = await Promise.all([loadSdk(), client()])
    return (await sender.send(new sdk[name](input), signal === undefined ? {} : { abortSignal: signal })) as Output
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
