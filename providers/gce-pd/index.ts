import { fromPersistentVolumeOf, type Provider, type Volume, volumeOf } from '../../src/expander.ts'
import type { GceCredentials } from './auth.ts'
import { type ComputeClient, defaultEndpoint, restClient } from './client.ts'
import { gcePdExpander } from './expander.ts'
import type { GcePdOptions } from './performance.ts'
import type { GceDisk, GceDiskRef } from './refs.ts'
import { type SdkClients, sdkClient } from './sdk.ts'

export type { AccessTokens, GceCredentials, ServiceAccountKey, TokenCallback } from './auth.ts'
export type { GceDisk, GceDiskRef, GcePdOptions, SdkClients }

export interface GcePdSettings {
  /** The project's id. */
  readonly project: string
  /**
   * Clients of @google-cloud/compute to speak through, by service: `{ disks: new DisksClient(), zoneOperations: new ZoneOperationsClient(), … }`. Left out: the
   * provider's own client, which loads nothing but `google-auth-library` for tokens.
   */
  readonly client?: SdkClients
  /** Where the API is, for a private endpoint or an emulator. Left out: https://compute.googleapis.com. */
  readonly endpoint?: string
  /** Left out: the application default credentials. */
  readonly credentials?: GceCredentials
}

/** Volumes that are persistent disks or Hyperdisks of Compute Engine. */
export interface GcePdProvider extends Provider {
  /**
   * The volume that is this disk. A name alone is refused: several zones may have a disk of that name.
   *
   * @param options performance to be set with the size, for Hyperdisk; where the least IOPS of its type rise with the size, they are raised with it in any case
   * @throws {VolumeExpansionError} `invalid-reference`: malformed, or neither a zone nor a region
   */
  volume(ref: GceDiskRef, options?: GcePdOptions): Volume
}

// Factories that are called again share connections, scopes and what is remembered of operations under way.
const byEndpoint = new Map<string, ComputeClient>()
const byOwner = new WeakMap<object, Map<string, ComputeClient>>()
let clients = 0

/**
 * The provider of Google Compute Engine's disks: zonal and regional, persistent disks and Hyperdisks, attached or not. They only ever grow, by whole GiB. Written
 * from the API reference and tested against an emulator of it; it was never run against Google Cloud itself.
 */
export function gcePd(settings: GcePdSettings): GcePdProvider {
  if (typeof settings?.project !== 'string' || settings.project === '')
    throw new TypeError('`project` has to be the id of a project.')
  const expander = gcePdExpander(clientOf(settings), settings.project)
  return {
    name: expander.name,
    volume: (ref, options) => volumeOf(expander, ref, options),
    fromPersistentVolume: fromPersistentVolumeOf(expander),
  }
}

function clientOf({ client, endpoint = defaultEndpoint, credentials }: GcePdSettings): ComputeClient {
  const owner = client ?? credentials
  const known = owner === undefined ? byEndpoint : (byOwner.get(owner) ?? new Map<string, ComputeClient>())
  if (owner !== undefined) byOwner.set(owner, known)
  const found = known.get(endpoint)
  if (found !== undefined) return found
  clients += 1
  const id = `${endpoint}#${clients}`
  const made = client === undefined ? restClient({ id, endpoint, credentials }) : sdkClient(id, client)
  known.set(endpoint, made)
  return made
}
