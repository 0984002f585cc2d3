import type { VolumeExpansionError } from '../../src/errors.ts'
import type { Bytes } from '../../src/size.ts'
import type { GlusterAnswer } from './client.ts'
import { failure, glusterError } from './errors.ts'
import { type Layout, layoutOf, sizeOf } from './layout.ts'
import type { Candidates } from './new-bricks.ts'
import type { GlusterVolumeRef } from './options.ts'
import { type Rebalance, rebalanceOf } from './rebalance.ts'

/** One volume as it was read, with what only this provider needs of it. */
export interface Observed {
  readonly layout: Layout
  readonly size: Bytes
  readonly rebalance: Rebalance
  readonly peers: Peers
  readonly candidates?: Candidates
}

export interface Peers {
  /** Id of the server that `host` is. */
  readonly own?: string
  /** The names by which the pool knows its servers; its own one is not among them. */
  readonly names: readonly string[]
  readonly away: readonly string[]
}

export function peersOf(pool: GlusterAnswer | undefined): Peers {
  const peers = pool?.ok === true ? (pool.xml.at('peerStatus')?.all('peer') ?? []) : []
  const own = peers.find((peer) => peer.text('hostname') === 'localhost')?.text('uuid')
  const away = peers.filter((peer) => peer.text('connected') !== '1').map((peer) => peer.text('hostname') ?? '')
  const names = peers.flatMap((peer) => [
    ...(peer.at('hostnames')?.all('hostname') ?? []).map((name) => name.text() ?? ''),
    peer.text('hostname') ?? '',
  ])
  return { away, names, ...(own === undefined ? {} : { own }) }
}

export function observedIn(answers: readonly GlusterAnswer[], peers: Peers, ref: GlusterVolumeRef): Observed | Error {
  const [info, detail, rebalance] = answers
  if (info === undefined || detail === undefined || rebalance === undefined)
    throw new TypeError('Each command has an answer.')
  if (!info.ok) return glusterError(info.message, 'unchanged')
  const volume = info.xml.at('volInfo', 'volumes', 'volume')
  // Without such a volume, some versions answer with an empty list.
  if (volume === undefined) return glusterError(`Volume ${ref.name} does not exist`, 'unchanged')
  const layout = layoutOf(volume, detail.ok ? detail.xml.at('volStatus', 'volumes', 'volume') : undefined)
  if (layout === undefined) {
    return failure(
      'backend-unreachable',
      `gluster described ${ref.name} in a way that is not understood.`,
      'unchanged',
      {
        remedy: 'See whether the answer was cut off: gluster --xml volume info.',
      },
    )
  }
  if (!layout.started) return glusterError(`Volume ${ref.name} is not started`, 'unchanged')
  if (!detail.ok) return glusterError(detail.message, 'unchanged')
  const size = sizeOf(layout)
  if (size === undefined) return unknownSize(layout, peers)
  return { layout, size, peers, rebalance: rebalanceOf(rebalance) }
}

/** A set of which no brick's size is known: its servers are away, or it was added and never came up. */
function unknownSize({ name, sets }: Layout, { away }: Peers): VolumeExpansionError {
  const silent = sets
    .filter(({ size }) => size === undefined)
    .flatMap(({ bricks }) => bricks.map((brick) => brick.name))
  const isAway = away.length > 0
  return failure(
    isAway ? 'wrong-state' : 'half-done',
    `The size of ${name} is not known: nobody tells the size of ${silent.join(', ')}${isAway ? `; not connected: ${away.join(', ')}` : ''}.`,
    'unchanged',
    {
      remedy: isAway
        ? 'Bring the servers back (gluster pool list), and run this again.'
        : `The bricks are listed and did not come up. Start what is missing (gluster volume start ${name} force), or, while nothing was written to them, take them out (gluster volume remove-brick … force).`,
    },
  )
}
