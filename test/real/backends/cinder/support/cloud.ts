import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CinderApi } from '../../../../../providers/cinder/client.ts'
import { systemSurroundings } from '../../../../../providers/cinder/cloud/files.ts'
import { Session } from '../../../../../providers/cinder/cloud/session.ts'
import { settingsOf } from '../../../../../providers/cinder/cloud/settings.ts'
import { cinderExpander, type Shared } from '../../../../../providers/cinder/expander.ts'
import type {
  BlockStorageAnswer,
  BlockStorageClient,
  BlockStorageRequest,
  CinderOptions,
  CinderRef,
} from '../../../../../providers/cinder/options.ts'
import { Memory } from '../../../../../providers/cinder/reading.ts'
import type { VolumeExpander, VolumeState } from '../../../../../src/expander.ts'
import { type HttpAnswer, type HttpClient, type HttpRequest, httpClient } from '../../../../../src/services/http.ts'
import { GiB } from '../../../../../src/size.ts'
import type { CinderLab } from '../../../../lab/cinder/cinder.ts'
import { type OpenStack, succeeded } from '../../../../lab/cinder/openstack.ts'
import { until } from '../../../support/commands.ts'

/** A volume as Cinder's own API shows it to whoever owns it. */
export interface PlainVolume {
  readonly id: string
  readonly status: string
  readonly size: number
  readonly updated_at: string | null
}

export async function look(user: OpenStack, id: string): Promise<PlainVolume> {
  return succeeded<{ volume: PlainVolume }>(await user.cinder('GET', `/volumes/${id}`)).volume
}

export function becomes(user: OpenStack, id: string, ...statuses: readonly string[]): Promise<PlainVolume> {
  return until(`${id} to be ${statuses.join(' or ')}`, async () => {
    const volume = await look(user, id)
    return statuses.includes(volume.status) ? volume : undefined
  })
}

/** Makes a volume and returns its id. */
export async function makeVolume(user: OpenStack, size = 2, type = 'file'): Promise<string> {
  const body = { volume: { size, volume_type: type } }
  const { volume } = succeeded<{ volume: PlainVolume }>(await user.cinder('POST', '/volumes', body))
  await becomes(user, volume.id, 'available')
  return volume.id
}

/** Makes it in use, as Nova would. */
export async function attach(user: OpenStack, id: string, server: string = crypto.randomUUID()): Promise<string> {
  const attachment = { instance_uuid: server, mountpoint: '/dev/vdb', mode: 'rw' }
  succeeded(await user.cinder('POST', `/volumes/${id}/action`, { 'os-attach': attachment }))
  await becomes(user, id, 'in-use')
  return server
}

/** Sets a state as only an administrator can, who has to name the project. */
export async function setState(lab: CinderLab, id: string, status: string): Promise<void> {
  await lab.sql(`update volumes set status='${status}' where id='${id}'`)
}

export function extend(user: OpenStack, id: string, size: number): Promise<{ readonly status: number }> {
  return user.cinder('POST', `/volumes/${id}/action`, { 'os-extend': { new_size: size } })
}

/** The length of the file that the volume is. */
export async function fileSize(lab: CinderLab, id: string): Promise<bigint> {
  return BigInt((await stat(join(lab.volumes, id))).size)
}

export const gib = (count: number): bigint => BigInt(count) * GiB

/** The options for a user of the lab. */
export function optionsOf(user: OpenStack): CinderOptions {
  return { auth: user.credentials }
}

export interface CountedCall {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly bytes: number
}

/** An expander over the real session, with a record of every request that it sends. */
export interface Counted extends Shared {
  readonly expander: VolumeExpander<CinderRef>
  readonly calls: CountedCall[]
  /** The tokens that Keystone gave. */
  readonly tokens: string[]
}

export function counted(
  options: CinderOptions,
  change?: (request: BlockStorageRequest) => BlockStorageRequest,
): Counted {
  const calls: CountedCall[] = []
  const tokens: string[] = []
  const inner = httpClient({ provider: 'cinder' })
  const http: HttpClient = {
    async send(request: HttpRequest): Promise<HttpAnswer> {
      const answer = await inner.send(request)
      const token = answer.headers['x-subject-token']
      if (typeof token === 'string') tokens.push(token)
      const { pathname, search } = new URL(request.url)
      const path = `${pathname.replace(/^\/v3\/[0-9a-f]{32}/, '')}${search}`
      calls.push({ method: request.method, path, status: answer.status, bytes: answer.text.length })
      return answer
    },
    close: () => inner.close(),
  }
  const session = new Session(settingsOf(options, systemSurroundings()), http)
  const client: BlockStorageClient = {
    send: (request): Promise<BlockStorageAnswer> => session.send(change === undefined ? request : change(request)),
  }
  const shared = { api: new CinderApi(client), memory: new Memory(), scope: `test ${crypto.randomUUID()}` }
  return { ...shared, expander: cinderExpander(shared), calls, tokens }
}

export async function stateOf(expander: VolumeExpander<CinderRef>, ref: CinderRef): Promise<VolumeState> {
  const [outcome] = await expander.read([ref], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}
