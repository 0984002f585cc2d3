import { dirname } from 'node:path'
import { VolumeExpansionError } from '../../src/errors.ts'
import type { Finding, FindingCode } from '../../src/findings.ts'
import type { BatchItem, BatchResults, Host } from '../../src/hosts/host.ts'
import { type Bytes, bytes, formatSize } from '../../src/size.ts'
import { type Brick, type Layout, partsOf } from './layout.ts'

/** A directory that is to become a brick, as its server has it. */
export interface NewBrick {
  readonly name: string
  readonly path: string
  /** Left out: the server is none that could be looked at. */
  readonly host?: Host
  /** The filesystem that it is, or will be, on: unique among all servers. */
  readonly filesystem?: string
  /** Bytes that this filesystem shows. */
  readonly total?: Bytes
  /** The id of the volume whose mark the directory has. */
  readonly mark?: string
  /** What is in it, besides what gluster itself keeps there. */
  readonly content?: readonly string[]
}

/** What was found about bricks that are to be added. */
export interface Candidates {
  /** Those that are not in the volume yet. */
  readonly missing: readonly NewBrick[]
  readonly findings: readonly Finding[]
  /** Bytes that they bring; undefined: unknown for one of them. */
  readonly brings?: Bytes
  /** Bricks that an earlier try for this volume has marked and not added, and that hold nothing. */
  readonly leftovers: readonly NewBrick[]
}

type HostOf = (server: string, peer?: string) => Host | undefined

const markName = 'trusted.glusterfs.volume-id'
const anyCode = [0, 1, 2]

/** Looks at directories that are to become bricks, and at the bricks that are on the same hosts already. Changes nothing. */
export async function examine(
  names: readonly string[],
  layout: Layout,
  hostOf: HostOf,
  servers: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Candidates> {
  const present = layout.sets.flatMap(({ bricks }) => bricks)
  const wanted = names.filter((name) => !present.some((brick) => brick.name === name))
  const missing = await Promise.all(wanted.map((name) => lookAt(name, hostOf, signal)))
  const taken = new Map<string, string>()
  for (const [filesystem, name] of await filesystemsOf(present, missing, hostOf, signal)) taken.set(filesystem, name)
  const known = (server: string): boolean =>
    servers.includes(server) || present.some((brick) => brick.server === server) || hostOf(server) !== undefined
  const strangers = wanted.filter((name) => known(partsOf(name)?.server ?? '') === false && partsOf(name) !== undefined)
  const findings = [...judged(wanted, missing, taken, layout), ...strangers.map(notInPool)]
  const brings = capacityOf(missing, layout)
  return {
    ...{ missing, findings },
    leftovers: missing.filter(({ mark, content }) => mark === layout.id && content?.length === 0),
    ...(brings === undefined ? {} : { brings }),
  }
}

async function lookAt(name: string, hostOf: HostOf, signal: AbortSignal | undefined): Promise<NewBrick> {
  const parts = partsOf(name)
  if (parts === undefined) return { name, path: '' }
  const { server, path } = parts
  const host = hostOf(server)
  if (host === undefined) return { name, path }
  const [own, above, room, roomAbove, attribute, list] = await looked(
    host,
    [
      { read: 'stat', path },
      { read: 'stat', path: dirname(path) },
      { read: 'statfs', path },
      { read: 'statfs', path: dirname(path) },
      { exec: ['getfattr', '--absolute-names', '-e', 'hex', '-n', markName, path], accept: anyCode },
      { exec: ['ls', '-A', '--', path], accept: anyCode },
    ] as const,
    signal,
  )
  // A directory that does not exist yet is made by gluster, on the filesystem of the one above it.
  const stat = own.ok ? own : above
  const statfs = room.ok ? room : roomAbove
  const mark = markIn(attribute.stdout)
  return {
    ...{ name, path, host },
    ...(stat.ok ? { filesystem: `${host.id}:${stat.value.dev}` } : {}),
    ...(statfs.ok ? { total: bytes(statfs.value.blocks * statfs.value.blockSize) } : {}),
    ...(mark === undefined ? {} : { mark }),
    ...(list.ok && list.exitCode === 0 ? { content: contentIn(list.stdout) } : {}),
  }
}

/** Looks change nothing: a connection that is lost leaves nothing unknown. */
async function looked<const Items extends readonly BatchItem[]>(
  host: Host,
  items: Items,
  signal: AbortSignal | undefined,
): Promise<BatchResults<Items>> {
  try {
    return await host.batch(items, signal === undefined ? {} : { signal })
  } catch (error) {
    throw error instanceof VolumeExpansionError ? error.with({ outcome: 'unchanged' }) : error
  }
}

/** The id in what getfattr prints, as gluster writes ids. */
function markIn(text: string): string | undefined {
  const digits = /volume-id=0x([0-9a-f]{32})/.exec(text)?.[1]
  return digits?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function contentIn(list: string): readonly string[] {
  return list.split('\n').filter((name) => name !== '' && name !== '.glusterfs')
}

async function filesystemsOf(
  present: readonly Brick[],
  missing: readonly NewBrick[],
  hostOf: HostOf,
  signal: AbortSignal | undefined,
): Promise<readonly (readonly [string, string])[]> {
  if (missing.length === 0) return []
  const looks = present.map(async ({ name, server, path, peer }): Promise<readonly (readonly [string, string])[]> => {
    const host = hostOf(server, peer)
    if (host === undefined) return []
    const [stat] = await looked(host, [{ read: 'stat', path }] as const, signal)
    return stat.ok ? [[`${host.id}:${stat.value.dev}`, name]] : []
  })
  return (await Promise.all(looks)).flat()
}

function* judged(
  names: readonly string[],
  missing: readonly NewBrick[],
  taken: Map<string, string>,
  layout: Layout,
): Generator<Finding> {
  const block = (code: FindingCode, message: string, remedy: string): Finding => ({
    ...{ code, severity: 'blocker', layer: 'volume', message, remedy },
  })
  const malformed = names.find((name) => partsOf(name) === undefined)
  if (malformed !== undefined) {
    yield block('invalid-request', `${JSON.stringify(malformed)} is no brick.`, 'Write bricks as server:/directory.')
  }
  const { bricksPerSet } = layout
  if (missing.length % bricksPerSet !== 0) {
    yield block(
      'invalid-request',
      `${missing.length} new bricks are no whole sets of ${bricksPerSet}: a set is as large as the smallest of its bricks, and one of them alone adds nothing.`,
      `Give ${bricksPerSet} bricks for each new set.`,
    )
  }
  for (const { name, filesystem, mark, content } of missing) {
    const other = filesystem === undefined ? undefined : taken.get(filesystem)
    if (filesystem !== undefined && other !== undefined) {
      yield block(
        'invalid-request',
        `${name} and ${other} are on one filesystem: together they have no more room than one.`,
        'Give a directory on a filesystem of its own.',
      )
    }
    if (filesystem !== undefined) taken.set(filesystem, name)
    if (mark !== undefined && (mark !== layout.id || (content?.length ?? 1) > 0)) {
      yield block(
        'half-done',
        mark === layout.id
          ? `${name} has the mark of this volume and is not empty: it was a brick of it, or nearly became one.`
          : `${name} has the mark of another volume (${mark}).`,
        'Look at what is in it. A directory that is to become a brick has to be empty and without the mark.',
      )
    }
  }
}

/**
 * An address that leads to this server and is none of its names passes glusterd's own check; its commit then fails, the brick is listed all the same, and clients lose the whole
 * volume until it is taken out.
 */
function notInPool(name: string): Finding {
  return {
    ...{ code: 'invalid-request', severity: 'blocker', layer: 'volume' },
    message: `The pool does not know the server of ${name} by that name.`,
    remedy: 'Write servers as `gluster pool list` or the bricks that are there name them, or add it to `hosts`.',
  }
}

function capacityOf(
  missing: readonly NewBrick[],
  { bricksPerSet, arbiters, redundancy, kind }: Layout,
): Bytes | undefined {
  let sum = 0n
  for (let first = 0; first + bricksPerSet <= missing.length; first += bricksPerSet) {
    const holding = missing.slice(first, first + bricksPerSet - arbiters)
    let least: bigint | undefined
    for (const { total } of holding) {
      if (total === undefined) return undefined
      if (least === undefined || total < least) least = total
    }
    sum += (least ?? 0n) * BigInt(kind === 'disperse' ? bricksPerSet - redundancy : 1)
  }
  return bytes(sum)
}

/** What is said when the bricks cannot bring enough. */
export function tooLittle(brings: Bytes, add: bigint): Finding {
  return {
    code: 'device-too-small',
    severity: 'blocker',
    layer: 'volume',
    message: `The new bricks bring ${formatSize(brings)}, and ${formatSize(add)} are missing.`,
    remedy: 'Give larger bricks, or more of them.',
  }
}

/** Takes the mark of an earlier, failed try from an empty directory. @returns whether all went */
export async function unmark(leftovers: readonly NewBrick[], signal: AbortSignal | undefined): Promise<boolean> {
  let all = true
  for (const { host, path } of leftovers) {
    const result = await host?.exec(['setfattr', '-x', markName, path], signal === undefined ? {} : { signal })
    all = all && result?.ok === true
  }
  return all
}
