import type { Finding, FindingCode } from '../../src/findings.ts'
import { type Bytes, formatSize } from '../../src/size.ts'
import type { GlusterClient } from './client.ts'
import { type Layout, largestFile } from './layout.ts'
import { type Candidates, tooLittle } from './new-bricks.ts'
import type { Observed } from './observed.ts'
import type { GlusterVolumeRef } from './options.ts'
import { type HostOf, holding } from './parts.ts'

export function findingsOf({ layout }: Observed): readonly Finding[] {
  const findings: Finding[] = []
  const off = layout.sets.flatMap(({ bricks }) => bricks.filter(({ online }) => online !== true))
  if (off.length > 0) {
    findings.push({
      ...{ code: 'wrong-state', severity: 'warning', layer: 'volume' },
      message: `These bricks are not online: ${off.map(({ name }) => name).join(', ')}.`,
      remedy: `Start what is missing: gluster volume start ${layout.name} force.`,
    })
  }
  const largest = largestFile(layout)
  if (layout.sets.length > 1 && largest !== undefined) {
    findings.push({
      ...{ code: 'file-size-limit', severity: 'note', layer: 'volume' },
      message: `The largest new file can have ${formatSize(largest)} now: one file is in one of the ${layout.sets.length} sets of bricks.`,
      remedy: 'For larger files make the bricks larger instead of adding some, or use sharding.',
    })
  }
  return findings
}

export function half(message: string): Finding {
  return {
    code: 'half-done',
    severity: 'warning',
    layer: 'volume',
    message,
    remedy: 'Read its log (…-rebalance.log), and start it again.',
  }
}

/** Limits of directories, which stay what they are however large the volume becomes. */
export async function quotasOf(
  { name, options }: Layout,
  client: GlusterClient,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  if (options.get('features.quota') !== 'on') return []
  const [answer] = await client.query([['volume', 'quota', name, 'list']], signal)
  const limits = answer?.ok === true ? (answer.xml.at('volQuota')?.all('limit') ?? []) : []
  const shown = limits.map((limit) => `${limit.text('path') ?? '?'} ${sizeText(limit.text('hard_limit'))}`)
  const message =
    shown.length === 0
      ? `Quotas are on for ${name}, and gluster lists none: ${answer?.message || 'an empty list'}.`
      : `Quotas of ${name} stay as they are: ${shown.join(', ')}.`
  return [
    {
      ...{ code: 'quota-remains', severity: shown.length === 0 ? 'note' : 'warning', layer: 'volume', message },
      remedy: `Raise them as well: gluster volume quota ${name} limit-usage DIRECTORY SIZE.`,
    },
  ]
}

function sizeText(text: string | undefined): string {
  return text !== undefined && /^\d+$/.test(text) ? formatSize(BigInt(text)) : (text ?? '')
}

/** What stands against a growth, told before anything is done. */
export function obstacles(entry: Observed, ref: GlusterVolumeRef, hostOf: HostOf): readonly Finding[] {
  if (ref.bricks !== undefined)
    return [...peerFindings(entry), ...(entry.candidates?.findings ?? []), ...nothingLeft(entry)]
  const { sets } = entry.layout
  const lacking = sets.map((set) => holding(set).filter(({ server, peer }) => hostOf(server, peer) === undefined))
  const growable = sets.filter((_, index) => lacking[index]?.length === 0)
  const torn = lacking.flatMap((bricks, index) => (bricks.length < holding(sets[index]).length ? bricks : []))
  const block = (code: FindingCode, message: string): Finding => ({
    ...{ code, severity: 'blocker', layer: 'volume', message },
    remedy: 'Give the servers of all bricks in `hosts`, or new `bricks`.',
  })
  if (torn.length > 0) {
    return [
      block(
        'invalid-request',
        `A set of bricks is as large as the smallest of them, and the servers of these were not given: ${torn.map(({ name }) => name).join(', ')}.`,
      ),
    ]
  }
  return growable.length > 0 ? [] : [block('invalid-request', `Nothing was given by which ${ref.name} could grow.`)]
}

/** glusterd refuses to change a volume while a server with a brick of it is away. */
export function peerFindings({ peers, layout }: Observed): readonly Finding[] {
  if (peers.away.length === 0) return []
  return [
    {
      ...{ code: 'wrong-state', severity: 'blocker', layer: 'volume' },
      message: `No bricks can be added to ${layout.name} while servers of the pool are not connected: ${peers.away.join(', ')}.`,
      remedy: 'Bring them back (gluster pool list), and run this again.',
    },
  ]
}

function nothingLeft({ candidates, layout }: Observed): readonly Finding[] {
  if (candidates === undefined || candidates.missing.length > 0) return []
  return [
    {
      ...{ code: 'invalid-request', severity: 'blocker', layer: 'volume' },
      message: `All bricks that were given are in ${layout.name} already.`,
      remedy: 'Give further bricks.',
    },
  ]
}

export function shortage({ brings }: Candidates, add: Bytes): readonly Finding[] {
  return brings === undefined || brings >= add ? [] : [tooLittle(brings, add)]
}
