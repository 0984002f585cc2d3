import { createHash } from 'node:crypto'
import { fromPersistentVolumeOf, type Provider, type Volume, volumeOf } from '../../src/expander.ts'
import { CinderApi } from './client.ts'
import { systemSurroundings } from './cloud/files.ts'
import { Session } from './cloud/session.ts'
import { settingsOf } from './cloud/settings.ts'
import { cinderExpander, type Shared } from './expander.ts'
import type { BlockStorageClient, CinderOptions, CinderRef } from './options.ts'
import { Memory } from './reading.ts'
import { scopeOf } from './scope.ts'

export type {
  BlockStorageAnswer,
  BlockStorageClient,
  BlockStorageRequest,
  CinderAuth,
  CinderOptions,
  CinderRef,
  CinderVolumeRef,
} from './options.ts'

/** Volumes of OpenStack's Block Storage. */
export interface CinderProvider extends Provider {
  /**
   * The volume with that id.
   *
   * @throws {VolumeExpansionError} `invalid-reference`: not a UUID; `invalid-size`: an `overhead` that is no size
   */
  volume(ref: CinderRef): Volume
}

/**
 * The provider of Cinder volumes, API version 3. Who asks is found as users of OpenStack expect: the option `auth`, a cloud of clouds.yaml (with secure.yaml and
 * clouds-public.yaml), or the `OS_*` variables; by password, application credential or token. Volumes grow in use from microversion 3.42 on.
 * Tokens, versions and connections are shared by all calls with the same settings in a process. Reads files; asks the cloud for nothing yet.
 *
 * @throws {VolumeExpansionError} `invalid-request`: something is missing, ambiguous or not supported
 */
export function cinder(options: CinderOptions = {}): CinderProvider {
  const expander = cinderExpander(
    options.client === undefined ? sharedBySettings(options) : sharedByClient(options.client),
  )
  return {
    name: expander.name,
    volume: (ref) => volumeOf(expander, ref),
    fromPersistentVolume: fromPersistentVolumeOf(expander),
  }
}

/** More identities than any one process uses; the oldest is forgotten, and only costs a token more. */
const mostSessions = 200

const bySettings = new Map<string, Shared>()
const byClient = new WeakMap<BlockStorageClient, Shared>()
let clients = 0

function sharedBySettings(options: CinderOptions): Shared {
  const settings = settingsOf(options, systemSurroundings())
  const { source: _, ...essential } = settings
  const key = createHash('sha256').update(JSON.stringify(essential)).digest('hex')
  const known = bySettings.get(key)
  if (known !== undefined) return known
  const [oldest] = bySettings.keys()
  if (bySettings.size >= mostSessions && oldest !== undefined) bySettings.delete(oldest)
  const plain = scopeOf(settings)
  // Two secrets for one user are two clients: what one of them is refused does not concern the other.
  const others = [...bySettings.values()].filter(
    ({ scope }) => scope === plain || scope.startsWith(`${plain} #`),
  ).length
  const shared = {
    api: new CinderApi(new Session(settings)),
    memory: new Memory(),
    scope: others === 0 ? plain : `${plain} #${others + 1}`,
  }
  bySettings.set(key, shared)
  return shared
}

function sharedByClient(client: BlockStorageClient): Shared {
  const known = byClient.get(client)
  if (known !== undefined) return known
  clients += 1
  const shared = { api: new CinderApi(client), memory: new Memory(), scope: `client ${clients}` }
  byClient.set(client, shared)
  return shared
}
