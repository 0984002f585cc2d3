import type { ExecResult } from '../../src/hosts/host.ts'
import { type Bytes, bytes, maxSize } from '../../src/size.ts'
import type { ClusterFacts, PoolFacts } from './client.ts'
import { items, member, parseExact, text, whole } from './json.ts'

/** What `ceph` is asked, one command a line. */
export const clusterQuestions = 'df detail\nhealth detail\nfsid\n'

const nothing: ClusterFacts = { pools: new Map() }

/** The health checks that say that there is too little room, by the names that Ceph documents (rados/operations/health-checks). */
const roomChecks = ['POOL_FULL', 'POOL_NEARFULL', 'POOL_NEAR_FULL', 'POOL_BACKFILLFULL', 'CACHE_POOL_NEAR_FULL']

/** What `ceph` answered, a document a line; whatever cannot be read of it was not seen. */
export function clusterFacts(result: ExecResult | undefined): ClusterFacts {
  if (result?.ended !== 'exited') return nothing
  const documents = result.stdout.split('\n').flatMap((line) => {
    try {
      return line.trim() === '' ? [] : [parseExact(line)]
    } catch {
      return []
    }
  })
  const find = (name: string): unknown => documents.map((document) => member(document, name)).find(Boolean)
  const troubles = troublesIn(find('checks'))
  const pools = items(find('pools')).flatMap((pool): [string, PoolFacts][] => {
    const name = text(member(pool, 'name'))
    const facts = name === undefined ? undefined : poolFacts(member(pool, 'stats'), troubleOf(name, troubles))
    return name === undefined || facts === undefined ? [] : [[name, facts]]
  })
  const fsid = text(find('fsid'))
  return { pools: new Map(pools), ...(fsid === undefined ? {} : { fsid }) }
}

function poolFacts(stats: unknown, trouble: string | undefined): PoolFacts | undefined {
  const [free, stored] = [whole(member(stats, 'max_avail')), whole(member(stats, 'stored'))]
  if (free === undefined || stored === undefined) return undefined
  const quota = whole(member(stats, 'quota_bytes')) ?? 0n
  const left = quota === 0n ? free : quota > stored ? quota - stored : 0n
  return {
    available: bounded(left < free ? left : free),
    stored: bounded(stored),
    ...(trouble === undefined ? {} : { trouble }),
  }
}

/** What a pool's own statistics cannot name exactly is as large as anything can be. */
function bounded(value: bigint): Bytes {
  return value < maxSize ? bytes(value) : maxSize
}

function troublesIn(checks: unknown): readonly string[] {
  return roomChecks.flatMap((check) =>
    items(member(member(checks, check), 'detail')).flatMap((detail) => text(member(detail, 'message')) ?? []),
  )
}

function troubleOf(pool: string, troubles: readonly string[]): string | undefined {
  return troubles.find((message) => message.startsWith(`pool '${pool}' `))
}
