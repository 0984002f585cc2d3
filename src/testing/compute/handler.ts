import { invalid } from './answers.ts'
import { filterOf } from './filter.ts'
import type { Call } from './methods.ts'
import { type OperationError, type Place, placePath, type Resource, type World } from './world.ts'

/** The most entries of one page, and what a page has when nothing is asked for (the `maxResults` parameter in the API reference). */
const largestPage = 500

export interface HandlerOptions {
  /** Waits on the clock; the waiting ends early when the caller has gone. */
  readonly sleep: (milliseconds: number) => Promise<void>
  /** Milliseconds after which `wait` returns what there is. */
  readonly waitTime: number
  readonly pageSize: number
}

/** What a call that is allowed is answered with. */
export async function handle(
  call: Call,
  world: World,
  options: HandlerOptions,
  error?: OperationError,
): Promise<unknown> {
  const { name, query, body, method } = call
  const requestId = query.get('requestId')
  const place = call.place ?? { zone: '' }
  const [service = '', verb = ''] = method.split('.')
  switch (verb) {
    case 'resize':
      return world.resize(place, name, body, requestId, error)
    case 'update':
      return world.update(place, name, body, maskOf(call), requestId, error)
    case 'createSnapshot':
      return world.createSnapshot(place, name, body, requestId, error)
    case 'wait': {
      // A timer may end a fraction of a millisecond early, and the operation is not done then.
      for (let patience = options.waitTime; patience > 0; ) {
        const left = Math.min(world.untilDone(place, name), patience)
        if (left <= 0) break
        await options.sleep(left)
        patience -= left
      }
      return world.operation(place, name)
    }
    case 'aggregatedList':
      return aggregated(call, world, options)
    case 'list':
      return page(call, listed(service, place, world), options)
    default:
      return found(service, place, name, world)
  }
}

function found(service: string, place: Place, name: string, world: World): object {
  if (service.endsWith('isks')) return world.disk(place, name)
  if (service.endsWith('iskTypes')) return world.diskType(place, name)
  if (service === 'instances') return world.instance(place, name)
  return service === 'snapshots' ? world.snapshot(name) : world.operation(place, name)
}

function listed(service: string, place: Place, world: World): readonly Resource[] {
  if (service.endsWith('isks')) return world.disks(place)
  return service === 'instances' ? world.instances(place) : world.operations(place)
}

function maskOf({ query }: Call): readonly string[] {
  const mask = query.get('updateMask') ?? query.get('paths')
  if (mask === undefined) throw invalid("Required field 'updateMask' not specified.")
  return mask.split(',')
}

interface Page {
  readonly items: readonly Resource[]
  readonly nextPageToken?: string
}

/** By name, as lists are sorted unless asked otherwise. A page may have fewer entries than were asked for, and another page follow all the same. */
function page({ query }: Call, all: readonly Resource[], options: HandlerOptions): Page {
  const wanted = query.get('maxResults')
  if (wanted !== undefined && !(/^\d+$/.test(wanted) && Number(wanted) <= largestPage)) {
    throw invalid(`Invalid value for field 'maxResults': '${wanted}'. Must be between 0 and ${largestPage}.`)
  }
  const size = Math.max(1, Math.min(Number(wanted ?? largestPage) || largestPage, options.pageSize))
  const start = Number(query.get('pageToken') ?? 0)
  if (!Number.isInteger(start)) throw invalid("Invalid value for field 'pageToken'.")
  const fitting = all.filter(filterOf(query.get('filter'))).sort((one, other) => (one.name < other.name ? -1 : 1))
  const items = fitting.slice(start, start + size)
  return start + size < fitting.length ? { items, nextPageToken: `${start + size}` } : { items }
}

function aggregated(call: Call, world: World, options: HandlerOptions): object {
  const { items, ...rest } = page(call, world.disks(), options)
  const scopes = new Map<string, object[]>()
  for (const disk of items) {
    const scope = /\/((?:zones|regions)\/[^/]+)\//.exec(disk.selfLink)?.[1] ?? ''
    scopes.set(scope, [...(scopes.get(scope) ?? []), disk])
  }
  return {
    kind: 'compute#diskAggregatedList',
    items: Object.fromEntries([...scopes].map(([scope, disks]) => [scope, { disks }])),
    ...rest,
  }
}

/** For messages of denials. */
export function resourceOf({ project, place, name, method }: Call): string {
  const collection = method
    .replace(/\..*/, '')
    .replace(/^zone|^region/, '')
    .toLowerCase()
  const where = place === undefined ? 'global' : placePath(place)
  return name === '' ? `projects/${project}` : `projects/${project}/${where}/${collection}/${name}`
}
