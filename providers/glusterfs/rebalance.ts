import type { GlusterAnswer } from './client.ts'

/** How far the files are spread over the bricks. The numbers are those of gf_defrag_status_t. */
export interface Rebalance {
  readonly phase: 'never' | 'running' | 'stopped' | 'completed' | 'failed'
  /** 0 to 1: how many servers have ended their part. */
  readonly progress: number
  /** For people. */
  readonly words: string
}

const phases: Readonly<Record<string, Rebalance['phase']>> = {
  0: 'never',
  1: 'running',
  2: 'stopped',
  3: 'completed',
  4: 'failed',
  5: 'running',
  6: 'stopped',
  7: 'completed',
  8: 'failed',
}

/** Reads the answer to `volume rebalance … status`; one that is a refusal means that there never was one. */
export function rebalanceOf({ ok, xml }: GlusterAnswer): Rebalance {
  const status = ok ? xml.at('volRebalance') : undefined
  const whole = status?.at('aggregate')
  const phase = phases[whole?.text('status') ?? '0'] ?? 'never'
  const nodes = status?.all('node') ?? []
  const ended = nodes.filter((node) => phases[node.text('status') ?? '1'] !== 'running').length
  const count = (field: string): string => whole?.text(field) ?? '0'
  const rest = [
    count('failures') === '0' ? '' : `, ${count('failures')} failed`,
    count('skipped') === '0' ? '' : `, ${count('skipped')} skipped`,
  ].join('')
  return {
    phase,
    progress: nodes.length === 0 ? 0 : ended / nodes.length,
    words: `rebalance ${whole?.text('statusStr') ?? 'not started'}: ${count('files')} files moved${rest}`,
  }
}
