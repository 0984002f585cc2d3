import type { ExecResult } from '../../src/hosts/host.ts'
import { type Bytes, bytes, maxSize } from '../../src/size.ts'
import type { ImageFacts, Watcher } from './client.ts'
import { rbdError } from './errors.ts'
import { items, member, parseExact, text, whole } from './json.ts'

/** What `rbd info` and `rbd status` say of an image. @throws {VolumeExpansionError} `backend-unreachable` when that is not what they say */
export function imageFacts(info: ExecResult, status: ExecResult, spec: string): ImageFacts {
  const seen = parsed(info, spec)
  const id = text(member(seen, 'id'))
  const mirroring = member(seen, 'mirroring')
  const features = items(member(seen, 'features')).filter((feature) => typeof feature === 'string')
  const migrating = features.includes('migrating') ? { migration: 'migrating' } : {}
  return {
    size: sizeOf(seen, info, spec),
    features,
    objectSize: whole(member(seen, 'object_size')) ?? 0n,
    ...(id === undefined ? {} : { id }),
    ...mirrorOf(features, member(mirroring, 'primary')),
    ...migrating,
    ...statusFacts(parsed(status, spec)),
  }
}

/** Bytes of the image, as `rbd info` has them. */
export function sizeIn(info: ExecResult, spec: string): Bytes {
  return sizeOf(parsed(info, spec), info, spec)
}

export function snapshotNames(listed: ExecResult, spec: string): readonly string[] {
  return items(parsed(listed, spec)).flatMap((snapshot) => text(member(snapshot, 'name')) ?? [])
}

function mirrorOf(features: readonly string[], primary: unknown): Pick<ImageFacts, 'mirror'> {
  if (features.includes('non-primary') || primary === false) return { mirror: 'non-primary' }
  return primary === true ? { mirror: 'primary' } : {}
}

function statusFacts(status: unknown): Pick<ImageFacts, 'watchers' | 'migration'> {
  const watchers = items(member(status, 'watchers')).map(
    (watcher): Watcher => ({
      address: text(member(watcher, 'address')) ?? 'an unknown address',
      client: `${whole(member(watcher, 'client')) ?? 'unknown'}`,
      cookie: whole(member(watcher, 'cookie')) ?? 0n,
    }),
  )
  const migration = text(member(member(status, 'migration'), 'state'))
  return { watchers, ...(migration === undefined ? {} : { migration }) }
}

function sizeOf(seen: unknown, result: ExecResult, spec: string): Bytes {
  const size = whole(member(seen, 'size'))
  if (size === undefined || size > maxSize) throw unreadable(result, spec)
  return bytes(size)
}

function parsed(result: ExecResult, spec: string): unknown {
  try {
    return parseExact(result.stdout)
  } catch (cause) {
    throw unreadable(result, spec, cause)
  }
}

function unreadable({ argv: [program] }: ExecResult, spec: string, cause?: unknown): Error {
  return rbdError('backend-unreachable', `What ${program} says of ${spec} cannot be read.`, {
    outcome: 'unchanged',
    remedy:
      'See whether the version of ceph-common on the host fits the cluster, and whether `rbd info --format=json` works there.',
    cause,
  })
}
