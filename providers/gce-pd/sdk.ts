import { VolumeExpansionError } from '../../src/errors.ts'
import { orAborted } from '../../src/services/abortable.ts'
import { type ComputeCall, type ComputeClient, isRead } from './client.ts'
import { callError, fieldOf, providerName, sdkFailureOf } from './errors.ts'

/** A client of @google-cloud/compute, such as a `DisksClient`; every one of its methods takes a request and gives an array. */
export type SdkClient = object

/**
 * The official clients that the provider may use, by the names of their services; versions 6.15 and 7 of @google-cloud/compute are known to fit. What is left out cannot be asked for:
 * without `diskTypes` the limits are dated ones, without `instances` devices are not recognised unless `deviceName` is given.
 */
export interface SdkClients {
  readonly disks?: SdkClient
  readonly regionDisks?: SdkClient
  readonly zoneOperations?: SdkClient
  readonly regionOperations?: SdkClient
  readonly diskTypes?: SdkClient
  readonly regionDiskTypes?: SdkClient
  readonly instances?: SdkClient
  readonly snapshots?: SdkClient
}

const resourceNames = {
  disks: 'disk',
  diskTypes: 'diskType',
  instances: 'instance',
  operations: 'operation',
  snapshots: 'snapshot',
} as const

function serviceOf({ collection, place }: ComputeCall): keyof SdkClients {
  const regional = place !== undefined && 'region' in place
  switch (collection) {
    case 'disks':
      return regional ? 'regionDisks' : 'disks'
    case 'diskTypes':
      return regional ? 'regionDiskTypes' : 'diskTypes'
    case 'operations':
      return regional ? 'regionOperations' : 'zoneOperations'
    default:
      return collection
  }
}

function bodyField(call: ComputeCall): string {
  if (call.verb === 'resize')
    return serviceOf(call) === 'regionDisks' ? 'regionDisksResizeRequestResource' : 'disksResizeRequestResource'
  return call.verb === 'update' ? 'diskResource' : 'snapshotResource'
}

/** The provider's calls through the official clients. Their retries, deadlines and long-running operations differ between versions, so that none is relied on. */
export function sdkClient(id: string, clients: SdkClients): ComputeClient {
  return {
    id,
    async send(call, context) {
      const service = serviceOf(call)
      const client = clients[service]
      const method: unknown = client === undefined ? undefined : Reflect.get(client, call.verb)
      if (typeof method !== 'function') throw notGiven(service, call.verb)
      const outcome = isRead(call) ? 'unchanged' : 'unknown'
      try {
        const answer: Promise<unknown> = Reflect.apply(method, client, [requestOf(call)])
        return resourceOf(
          call,
          await orAborted(limited(answer, call.timeout), call.signal, { layer: 'volume', outcome }),
        )
      } catch (thrown) {
        if (thrown instanceof VolumeExpansionError) throw thrown
        const failure = sdkFailureOf(thrown)
        const message = thrown instanceof Error ? thrown.message : 'the client failed'
        throw callError(failure ?? { message }, context, new Error(failure?.message ?? message))
      }
    },
  }
}

function requestOf(call: ComputeCall): object {
  const { collection, project, place, name, query, body } = call
  return {
    ...{ project, ...place, ...query },
    ...(name === undefined ? {} : { [resourceNames[collection]]: name }),
    ...(body === undefined ? {} : { [bodyField(call)]: body }),
  }
}

/** Mutations answer with an object of their own whose operation is in `latestResponse`; lists give all of their pages at once. */
function resourceOf({ verb }: ComputeCall, answer: unknown): unknown {
  const first: unknown = Array.isArray(answer) ? answer[0] : answer
  if (verb === 'list') return { items: first }
  return fieldOf(first, 'latestResponse') ?? first
}

/** A deadline of our own: the clients honour theirs in some versions only. The request that is given up changes nothing, since only reads have one. */
async function limited(answer: Promise<unknown>, milliseconds: number | undefined): Promise<unknown> {
  if (milliseconds === undefined) return await answer
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate(milliseconds)), milliseconds)
  })
  answer.catch(() => undefined)
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function tooLate(milliseconds: number): VolumeExpansionError {
  return new VolumeExpansionError('timeout', `Compute Engine did not answer within ${milliseconds / 1000} s.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', retryable: true },
    remedy: 'Run it again: it observes first and does only what is left.',
  })
}

function notGiven(service: string, verb: string): VolumeExpansionError {
  return new VolumeExpansionError('tool-missing', `The clients that were passed have no ${service}.${verb}().`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
    remedy: `Pass a client for ${service} as well, or leave \`client\` out to have the provider's own.`,
  })
}
