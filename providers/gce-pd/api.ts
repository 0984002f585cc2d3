import { VolumeExpansionError } from '../../src/errors.ts'
import { type Collection, type ComputeCall, type ComputeClient, pageOf } from './client.ts'
import { type FailureContext, providerName } from './errors.ts'
import {
  type Attachment,
  attachmentsOf,
  diskOf,
  instanceOf,
  type NativeDisk,
  type NativeOperation,
  operationOf,
} from './native.ts'
import type { PerformanceChange } from './performance.ts'
import { type Place, placePath } from './refs.ts'

/** The calls that the provider makes in one place of one project, with their answers in its own terms. */
export class PlaceApi {
  readonly project: string
  readonly place: Place
  readonly #client: ComputeClient

  constructor(client: ComputeClient, project: string, place: Place) {
    this.#client = client
    this.project = project
    this.place = place
  }

  /** The disks of these names that exist. One is asked for by its name, several by one filtered list. */
  async disks(names: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, NativeDisk>> {
    const [first, ...others] = names
    if (first === undefined) return new Map()
    const resources =
      others.length === 0
        ? [await this.#existing(first, signal)]
        : await this.#list('disks', this.place, named(names), signal)
    const found = resources.filter((resource) => resource !== undefined).map(diskOf)
    // What is no disk is not told apart from one that is missing by leaving it out.
    const disks = found.filter((disk) => disk !== undefined)
    const isOther = others.length === 0 && disks.some(({ name }) => name !== first)
    if (disks.length < found.length || isOther) throw undescribed(names)
    return new Map(disks.filter(({ name }) => names.includes(name)).map((disk) => [disk.name, disk]))
  }

  /** The changes of disks that are under way here, whoever began them, by what they change. */
  async running(signal?: AbortSignal): Promise<ReadonlyMap<string, NativeOperation>> {
    const resources = await this.#list('operations', this.place, 'status != "DONE"', signal)
    const operations = resources.map(operationOf).filter((operation) => operation !== undefined)
    const changes = operations.filter(({ type, status }) => status !== 'DONE' && changesDisk(type))
    return new Map(changes.map((operation) => [operation.target, operation]))
  }

  /**
   * An operation now. Undefined when there is none of that name any more: operations are kept for some days only. Where the caller may list operations and not get
   * them, they are listed: what the reads before a growth have proven has to be enough for its waiting.
   */
  async operation(name: string, signal?: AbortSignal): Promise<NativeOperation | undefined> {
    try {
      return operationOf(await this.#send({ collection: 'operations', verb: 'get', name }, signal))
    } catch (thrown) {
      if (isCode(thrown, 'not-found')) return undefined
      if (!isCode(thrown, 'permission-denied')) throw thrown
      const [listed] = await this.#list('operations', this.place, `name = "${name}"`, signal)
      return operationOf(listed)
    }
  }

  /**
   * The operation once it is DONE, or as it is after `milliseconds` at the most: the service waits for two minutes or less, by best effort, and may answer at once
   * (https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations/wait).
   */
  async wait(name: string, milliseconds: number, signal?: AbortSignal): Promise<NativeOperation | undefined> {
    try {
      return operationOf(
        await this.#send({ collection: 'operations', verb: 'wait', name, timeout: milliseconds }, signal),
      )
    } catch (thrown) {
      if (isCode(thrown, 'not-found')) return undefined
      if (isCode(thrown, 'timeout') || isCode(thrown, 'permission-denied')) return await this.operation(name, signal)
      throw thrown
    }
  }

  /** `validDiskSize` of a disk type. */
  async validDiskSize(type: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.#send({ collection: 'diskTypes', verb: 'get', name: type }, signal)
    return typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'validDiskSize') : undefined
  }

  /** The attachments of these instances, by what is attached. */
  async attachments(
    links: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly Attachment[]>> {
    const zones = new Map<string, Set<string>>()
    for (const found of links.map(instanceOf)) {
      if (found !== undefined) zones.set(found.zone, (zones.get(found.zone) ?? new Set()).add(found.name))
    }
    const all = new Map<string, Attachment[]>()
    for (const [zone, names] of zones) {
      for (const resource of await this.#instances(zone, [...names], signal)) {
        for (const [disk, attachment] of attachmentsOf(resource, zone))
          all.set(disk, [...(all.get(disk) ?? []), attachment])
      }
    }
    return all
  }

  /** Asks for the size, and for performance with it where that is given. Returns the operation that was begun, or that the same request had begun before. */
  async grow(
    disk: string,
    sizeGb: bigint,
    performance: PerformanceChange | undefined,
    requestId: string,
    signal?: AbortSignal,
  ): Promise<NativeOperation | undefined> {
    const size = { sizeGb: `${sizeGb}` }
    if (performance === undefined) {
      return operationOf(
        await this.#send({ collection: 'disks', verb: 'resize', name: disk, query: { requestId }, body: size }, signal),
      )
    }
    const { iops, throughput } = performance
    const body = {
      ...{ name: disk, ...size },
      ...(iops === undefined ? {} : { provisionedIops: `${iops}` }),
      ...(throughput === undefined ? {} : { provisionedThroughput: `${throughput}` }),
    }
    const updateMask = Object.keys(body)
      .filter((field) => field !== 'name')
      .join(',')
    return operationOf(
      await this.#send(
        { collection: 'disks', verb: 'update', name: disk, query: { requestId, updateMask }, body },
        signal,
      ),
    )
  }

  async createSnapshot(
    disk: string,
    name: string,
    requestId: string,
    signal?: AbortSignal,
  ): Promise<NativeOperation | undefined> {
    return operationOf(
      await this.#send(
        { collection: 'disks', verb: 'createSnapshot', name: disk, query: { requestId }, body: { name } },
        signal,
      ),
    )
  }

  snapshot(name: string, signal?: AbortSignal): Promise<unknown> {
    return this.#send({ collection: 'snapshots', verb: 'get', name }, signal)
  }

  async #existing(name: string, signal: AbortSignal | undefined): Promise<unknown> {
    try {
      return await this.#send({ collection: 'disks', verb: 'get', name }, signal)
    } catch (thrown) {
      if (isCode(thrown, 'not-found')) return undefined
      throw thrown
    }
  }

  async #instances(
    zone: string,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    const [first, ...others] = names
    if (first === undefined) return []
    if (others.length > 0) return await this.#list('instances', { zone }, named(names), signal)
    try {
      return [await this.#send({ collection: 'instances', verb: 'get', name: first }, signal, { zone })]
    } catch (thrown) {
      // Deleted since the disk was read.
      if (isCode(thrown, 'not-found')) return []
      throw thrown
    }
  }

  async #list(
    collection: Collection,
    place: Place,
    filter: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    const all: unknown[] = []
    let pageToken: string | undefined
    do {
      const query = { filter, ...(pageToken === undefined ? {} : { pageToken }) }
      const { items, next } = pageOf(await this.#send({ collection, verb: 'list', query }, signal, place))
      all.push(...items)
      if (next !== undefined && next === pageToken) throw unreadable(`The list of ${collection} never ends.`)
      pageToken = next
    } while (pageToken !== undefined)
    return all
  }

  #send(
    call: Omit<ComputeCall, 'project' | 'place' | 'signal'>,
    signal: AbortSignal | undefined,
    place: Place = this.place,
  ): Promise<unknown> {
    const where = call.collection === 'snapshots' ? {} : { place }
    return this.#client.send({ ...call, ...where, project: this.project, signal }, contextOf(call, place, this.project))
  }
}

function undescribed(names: readonly string[]): VolumeExpansionError {
  const [first, ...others] = names
  const which = others.length === 0 ? `disk ${first}` : `${names.length} disks`
  return unreadable(`Compute Engine described ${which} in a way that is not understood.`)
}

function unreadable(message: string): VolumeExpansionError {
  return new VolumeExpansionError('backend-unreachable', message, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', retryable: true },
    remedy: 'See whether the address is that of the API, and what stands between here and there.',
  })
}

/** One RE2 expression that has to match the whole name; names hold no character that means something in it. */
function named(names: readonly string[]): string {
  return `name eq (${names.join('|')})`
}

function changesDisk(type: string): boolean {
  return /resize|update|patch/i.test(type)
}

function isCode(thrown: unknown, code: VolumeExpansionError['code']): boolean {
  return thrown instanceof VolumeExpansionError && thrown.code === code
}

const singular: Readonly<Record<Collection, string>> = {
  disks: 'disk',
  diskTypes: 'disk type',
  instances: 'instance',
  operations: 'operation',
  snapshots: 'snapshot',
}

function contextOf(
  { collection, verb, name }: Pick<ComputeCall, 'collection' | 'verb' | 'name'>,
  place: Place,
  project: string,
): FailureContext {
  const service = collection === 'operations' ? ('region' in place ? 'regionOperations' : 'zoneOperations') : collection
  const where = collection === 'snapshots' ? '' : ` in ${placePath(place)}`
  return {
    what:
      name === undefined
        ? `the list of ${collection}${where} of ${project}`
        : `${singular[collection]} ${name}${where} of ${project}`,
    mutates: verb === 'resize' || verb === 'update' || verb === 'createSnapshot',
    permission: `compute.${service}.${verb === 'wait' ? 'get' : verb}`,
  }
}
