import type { Place } from './world.ts'

/** A method by its name in the API reference (https://cloud.google.com/compute/docs/reference/rest/v1). */
export type Method =
  | 'disks.get'
  | 'disks.list'
  | 'disks.aggregatedList'
  | 'disks.resize'
  | 'disks.update'
  | 'disks.createSnapshot'
  | 'regionDisks.get'
  | 'regionDisks.list'
  | 'regionDisks.resize'
  | 'regionDisks.update'
  | 'regionDisks.createSnapshot'
  | 'diskTypes.get'
  | 'regionDiskTypes.get'
  | 'instances.get'
  | 'instances.list'
  | 'zoneOperations.get'
  | 'zoneOperations.wait'
  | 'zoneOperations.list'
  | 'regionOperations.get'
  | 'regionOperations.wait'
  | 'regionOperations.list'
  | 'snapshots.get'

/** The groups whose rates are limited apart, as on https://cloud.google.com/compute/api-quota. */
export type MethodGroup = 'read' | 'list' | 'mutate' | 'operations'

/** The methods that this emulator knows, with the permission that each needs (https://cloud.google.com/compute/docs/access/iam-permissions). */
export const methods: Readonly<Record<Method, { readonly permission: string; readonly group: MethodGroup }>> = {
  'disks.get': { permission: 'compute.disks.get', group: 'read' },
  'disks.list': { permission: 'compute.disks.list', group: 'list' },
  'disks.aggregatedList': { permission: 'compute.disks.list', group: 'list' },
  'disks.resize': { permission: 'compute.disks.resize', group: 'mutate' },
  'disks.update': { permission: 'compute.disks.update', group: 'mutate' },
  'disks.createSnapshot': { permission: 'compute.disks.createSnapshot', group: 'mutate' },
  'regionDisks.get': { permission: 'compute.disks.get', group: 'read' },
  'regionDisks.list': { permission: 'compute.disks.list', group: 'list' },
  'regionDisks.resize': { permission: 'compute.disks.resize', group: 'mutate' },
  'regionDisks.update': { permission: 'compute.disks.update', group: 'mutate' },
  'regionDisks.createSnapshot': { permission: 'compute.disks.createSnapshot', group: 'mutate' },
  'diskTypes.get': { permission: 'compute.diskTypes.get', group: 'read' },
  'regionDiskTypes.get': { permission: 'compute.diskTypes.get', group: 'read' },
  'instances.get': { permission: 'compute.instances.get', group: 'read' },
  'instances.list': { permission: 'compute.instances.list', group: 'list' },
  'zoneOperations.get': { permission: 'compute.zoneOperations.get', group: 'operations' },
  'zoneOperations.wait': { permission: 'compute.zoneOperations.get', group: 'operations' },
  'zoneOperations.list': { permission: 'compute.zoneOperations.list', group: 'list' },
  'regionOperations.get': { permission: 'compute.regionOperations.get', group: 'operations' },
  'regionOperations.wait': { permission: 'compute.regionOperations.get', group: 'operations' },
  'regionOperations.list': { permission: 'compute.regionOperations.list', group: 'list' },
  'snapshots.get': { permission: 'compute.snapshots.get', group: 'read' },
}

/** What a request asks for. */
export interface Call {
  readonly method: Method
  readonly project: string
  /** Left out for what is global, or of all places. */
  readonly place?: Place
  /** The disk, operation, type, instance or snapshot; empty for lists. */
  readonly name: string
  readonly query: ReadonlyMap<string, string>
  readonly body: unknown
  /** As it stands in the path, without the version. */
  readonly path: string
}

const collections: Readonly<Record<string, { readonly zones: string; readonly regions?: string }>> = {
  disks: { zones: 'disks', regions: 'regionDisks' },
  diskTypes: { zones: 'diskTypes', regions: 'regionDiskTypes' },
  operations: { zones: 'zoneOperations', regions: 'regionOperations' },
  instances: { zones: 'instances' },
}

/** The call that a request line makes; undefined for what this emulator does not know. */
export function callOf(verb: string, url: URL, body: unknown): Call | undefined {
  const path = url.pathname.replace(/^\/compute\/v1\//, '').replace(/^\//, '')
  const [projects, project, scope, ...rest] = path.split('/').map(decodeURIComponent)
  if (projects !== 'projects' || project === undefined || scope === undefined) return undefined
  const query = new Map(url.searchParams)
  const common = { project, query, body, path }
  const known = (method: string, details: { readonly place?: Place; readonly name: string }): Call | undefined =>
    method in methods ? { method: method as Method, ...details, ...common } : undefined
  if (scope === 'aggregated' && rest.length === 1 && verb === 'GET')
    return known(`${rest[0]}.aggregatedList`, { name: '' })
  if (scope === 'global' && rest.length === 2 && verb === 'GET') return known(`${rest[0]}.get`, { name: rest[1] ?? '' })
  if (scope !== 'zones' && scope !== 'regions') return undefined
  const [location = '', collection = '', name = '', action] = rest
  const service = collections[collection]?.[scope]
  if (service === undefined || rest.length > 4) return undefined
  const place: Place = scope === 'zones' ? { zone: location } : { region: location }
  const operation = actionOf(verb, name, action)
  return operation === undefined ? undefined : known(`${service}.${operation}`, { place, name })
}

function actionOf(verb: string, name: string, action: string | undefined): string | undefined {
  if (verb === 'POST') return action
  if (action !== undefined) return undefined
  if (verb === 'PATCH') return name === '' ? undefined : 'update'
  return verb === 'GET' ? (name === '' ? 'list' : 'get') : undefined
}
