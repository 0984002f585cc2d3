import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import { formatSize, GiB, maxSize } from '../../src/size.ts'
import { failure, headerOf, refusedBy } from './errors.ts'
import { Gate } from './gate.ts'
import { type Fields, fieldsOf, integerOf, listOf, textOf, timeOf } from './json.ts'
import type { BlockStorageAnswer, BlockStorageClient, BlockStorageRequest } from './options.ts'

/** The microversions of Cinder's API that this library was written for, by their minor number: volume 3.x. */
export const microversions = {
  messages: 3,
  messageFilters: 5,
  extendInUse: 42,
  timeFilters: 60,
  snapshotsWithoutForce: 66,
  newest: 70,
} as const

/** Growths that are asked for at once; a Cinder of its usual setup answers several in a second. */
const growthsAtOnce = 8

/** A growth that Cinder accepted. */
export interface Accepted {
  /** When, by Cinder's clock: milliseconds since 1970. */
  readonly at: number | undefined
  /** Cinder's id of the request, which messages about it repeat. */
  readonly requestId: string | undefined
}

export interface VolumePage {
  readonly volumes: readonly Fields[]
  /** Whether there are more behind the last one. */
  readonly more: boolean
}

export interface PageRequest {
  readonly limit: number
  /** The id of the last volume of the page before. */
  readonly marker?: string
  /** Only those that have changed at or after that time: milliseconds since 1970. Needs {@link microversions.timeFilters}. */
  readonly changedSince?: number
}

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
  /** For people, as the beginning of an error. */
  readonly what: string
  readonly signal: AbortSignal | undefined
}

/** The calls of Cinder's API (docs.openstack.org/api-ref/block-storage/v3). Every one rejects with a `VolumeExpansionError`. */
export class CinderApi {
  readonly #client: BlockStorageClient
  readonly #growths = new Gate(growthsAtOnce)
  #version: Promise<number> | undefined

  constructor(client: BlockStorageClient) {
    this.#client = client
  }

  /** The newest microversion that both sides understand, asked for once. */
  async version(signal: AbortSignal | undefined): Promise<number> {
    const known = this.#version
    if (known !== undefined) return known
    const version = await this.#negotiate(signal)
    this.#version = Promise.resolve(version)
    return version
  }

  async volume(id: string, signal: AbortSignal | undefined): Promise<Fields> {
    const { body } = await this.#call({ method: 'GET', path: `/volumes/${id}`, what: `Reading ${id}`, signal })
    return described(id, fieldsOf(fieldsOf(body)['volume']))
  }

  async volumes({ limit, marker, changedSince }: PageRequest, signal: AbortSignal | undefined): Promise<VolumePage> {
    const query = new URLSearchParams({ limit: `${limit}` })
    if (marker !== undefined) query.set('marker', marker)
    if (changedSince !== undefined) {
      query.set('updated_at', `gte:${new Date(changedSince).toISOString().replace(/\.\d+Z$/, '')}`)
    }
    const path = `/volumes/detail?${query}`
    const { body } = await this.#call({ method: 'GET', path, what: 'Listing the volumes of the project', signal })
    const { volumes, volumes_links: links } = fieldsOf(body)
    return { volumes: listOf(volumes).filter(isWhole), more: listOf(links).some(({ rel }) => rel === 'next') }
  }

  /** Asks for exactly `gibibytes`, which Cinder refuses unless it is more than there is. */
  async extend(id: string, gibibytes: number, signal: AbortSignal | undefined): Promise<Accepted> {
    const call: Call = {
      ...{ method: 'POST', path: `/volumes/${id}/action`, body: { 'os-extend': { new_size: gibibytes } }, signal },
      what: `Growing ${id} to ${formatSize(BigInt(gibibytes) * GiB)}`,
    }
    const answer = await this.#growths.through(() => this.#call(call), signal)
    const date = Date.parse(headerOf(answer, 'date') ?? '')
    return { at: Number.isNaN(date) ? undefined : date, requestId: requestIdOf(answer) }
  }

  /** What Cinder told about growths that went wrong, newest first; undefined where that cannot be read. Messages are kept for 30 days. */
  async messages(
    filter: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<readonly Fields[] | undefined> {
    if ((await this.version(signal)) < microversions.messageFilters) return undefined
    const path = `/messages?${new URLSearchParams({ ...filter, limit: '1000' })}`
    const answer = await this.#ask({ method: 'GET', path, what: 'Reading messages', signal })
    return answer.status === 200 ? listOf(fieldsOf(answer.body)['messages']) : undefined
  }

  /** The quota of a project with what is used of it; undefined where that cannot be read. */
  async quota(projectId: string, signal: AbortSignal | undefined): Promise<Fields | undefined> {
    const path = `/os-quota-sets/${encodeURIComponent(projectId)}?usage=true`
    const answer = await this.#ask({ method: 'GET', path, what: 'Reading the quota', signal })
    return answer.status === 200 ? fieldsOf(fieldsOf(answer.body)['quota_set']) : undefined
  }

  async createSnapshot(snapshot: Fields, signal: AbortSignal | undefined): Promise<Fields> {
    const forced = (await this.version(signal)) < microversions.snapshotsWithoutForce
    const body = { snapshot: { ...snapshot, ...(forced ? { force: true } : {}) } }
    const what = `Making a snapshot of ${textOf(snapshot['volume_id'])}`
    const answer = await this.#call({ method: 'POST', path: '/snapshots', body, what, signal })
    return fieldsOf(fieldsOf(answer.body)['snapshot'])
  }

  async snapshot(id: string, signal: AbortSignal | undefined): Promise<Fields> {
    const what = `Reading the snapshot ${id}`
    const { body } = await this.#call({ method: 'GET', path: `/snapshots/${encodeURIComponent(id)}`, what, signal })
    return fieldsOf(fieldsOf(body)['snapshot'])
  }

  /** The snapshots of a volume with that name. */
  async snapshots(volumeId: string, name: string, signal: AbortSignal | undefined): Promise<readonly Fields[]> {
    const path = `/snapshots/detail?${new URLSearchParams({ volume_id: volumeId, name })}`
    const { body } = await this.#call({ method: 'GET', path, what: `Listing the snapshots of ${volumeId}`, signal })
    return listOf(fieldsOf(body)['snapshots'])
  }

  /** An answer that has to be a success. */
  async #call(call: Call): Promise<BlockStorageAnswer> {
    const answer = await this.#ask(call)
    if (answer.status >= 200 && answer.status < 300) return answer
    throw refusedBy(answer, call.what, call.method === 'POST')
  }

  async #ask(call: Call): Promise<BlockStorageAnswer> {
    const { method, path, body, signal } = call
    const ask = async (): Promise<BlockStorageAnswer> =>
      this.#send({
        ...{ method, path, signal, headers: { 'openstack-api-version': `volume 3.${await this.version(signal)}` } },
        ...(body === undefined ? {} : { body }),
      })
    const answer = await ask()
    if (answer.status !== 406) return answer
    // Another node than the one that was asked before, of another release. Nothing was done with the request.
    this.#version = undefined
    return ask()
  }

  async #send(request: BlockStorageRequest): Promise<BlockStorageAnswer> {
    try {
      return await this.#client.send(request)
    } catch (thrown) {
      if (thrown instanceof VolumeExpansionError) throw thrown
      const { signal, method } = request
      const outcome = method === 'POST' ? 'unknown' : 'unchanged'
      if (signal?.aborted) throw abortedError(signal, 'volume', outcome)
      throw failure(
        'The client that was given for Cinder failed.',
        { code: 'backend-unreachable', outcome, retryable: true, remedy: 'See the cause, and run it again.' },
        { cause: thrown },
      )
    }
  }

  async #negotiate(signal: AbortSignal | undefined): Promise<number> {
    const answer = await this.#send({ method: 'GET', path: '', versions: true, headers: {}, signal })
    const { body, status } = answer
    if (status !== 200 && status !== 300) throw refusedBy(answer, 'Asking for the versions of the API', false)
    const third = listOf(fieldsOf(body)['versions']).find(({ id }) => textOf(id)?.startsWith('v3') === true)
    const [most, least] = [third?.['version'], third?.['min_version']].map(minorOf)
    if (most === undefined || (least ?? 0) > microversions.newest) {
      throw failure(
        most === undefined
          ? 'At the endpoint of Cinder there is no Block Storage API of version 3.'
          : `Cinder speaks no microversion below 3.${least}, and this library none above 3.${microversions.newest}.`,
        {
          code: 'invalid-request',
          remedy: 'Check the endpoint in the catalog or in the options, and look for a newer release of the library.',
        },
      )
    }
    return Math.min(most, microversions.newest)
  }
}

/** A volume as it is described: as the one that was asked for, and with a state and a size. @throws {VolumeExpansionError} `backend-unreachable` */
export function described(id: string, volume: Fields): Fields {
  const size = integerOf(volume['size'])
  if (isWhole(volume) && volume['id'] === id && size !== undefined && size >= 0 && size <= largestSize) return volume
  throw failure(`Cinder described ${id} in a way that is not understood.`, {
    code: 'backend-unreachable',
    retryable: true,
    remedy: 'See whether the endpoint is that of Cinder, and what stands between here and there.',
  })
}

/** What is not there is not zero: a volume without a size or a state was not seen. */
function isWhole(volume: Fields): boolean {
  return (
    [volume['id'], volume['status']].every((field) => textOf(field) !== undefined) &&
    integerOf(volume['size']) !== undefined
  )
}

/** GiB that can be told in bytes below 2^63. */
const largestSize = Number(maxSize / GiB)

function minorOf(value: unknown): number | undefined {
  const minor = /^3\.(\d{1,4})$/.exec(textOf(value) ?? '')?.[1]
  return minor === undefined ? undefined : Number(minor)
}

function requestIdOf(answer: BlockStorageAnswer): string | undefined {
  return headerOf(answer, 'x-openstack-request-id') ?? headerOf(answer, 'x-compute-request-id')
}

/** Codes of messages about growths (cinder/message/message_field.py): VOLUME, action 007 (extend), and what happened. */
export const messageCodes = {
  prefix: 'VOLUME_VOLUME_007_',
  notPassedOn: 'VOLUME_VOLUME_007_009',
} as const

/** A message of Cinder about the growth of a volume. */
export interface GrowthMessage {
  readonly code: string
  /** Milliseconds since 1970, to the second. */
  readonly at: number
  readonly requestId: string | undefined
  readonly text: string
}

/** The newest message about a growth of the volume. */
export function newestAbout(id: string, messages: readonly Fields[]): GrowthMessage | undefined {
  const own = messages
    .filter((message) => message['resource_uuid'] === id)
    .flatMap((message): GrowthMessage[] => {
      const code = textOf(message['event_id'])
      const at = timeOf(message['created_at'])
      if (code === undefined || at === undefined || !code.startsWith(messageCodes.prefix)) return []
      // "extend volume:Volume Driver failed to extend volume."
      const text = (textOf(message['user_message']) ?? code).replace(/^[a-z ]+:/, '').slice(0, 400)
      return [{ code, at, requestId: textOf(message['request_id']), text }]
    })
  return own.toSorted((one, other) => other.at - one.at)[0]
}
