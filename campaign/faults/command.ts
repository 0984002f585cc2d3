import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type { BatchItem, BatchResult, BatchResults, ExecItem, ExecResult, Host } from '../../src/hosts/host.ts'
import type { Fault } from './fault.ts'
import type { Exchange, Wire } from './wire.ts'

export interface CommandAnswer {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** What is behind a wire of commands. */
export interface CommandService {
  operation(argv: readonly string[]): string
  mutates(argv: readonly string[]): boolean
  run(argv: readonly string[], stdin: string): CommandAnswer | Promise<CommandAnswer>
  /** What a read of the host finds. Left out: the host has nothing to read. */
  look?(item: Exclude<BatchItem, ExecItem>): Promise<BatchResult<BatchItem>>
}

/** Milliseconds of one round trip, and of one command. */
const trip = 30
const run = 20
const usualDeadline = 30_000

class Lost extends Error {}

/** A host whose commands go over the wire. A batch is one round trip; a connection that breaks at one of its items loses the answers to all of them. */
export function wiredHost(wire: Wire, id: string, service: CommandService): Host {
  async function execute(item: ExecItem): Promise<ExecResult> {
    const { exec: argv, stdin, accept = [0], deadline = usualDeadline, detached = false } = item
    const exchange = wire.begin(service.operation(argv), service.mutates(argv))
    const text = Buffer.from(stdin ?? []).toString()
    const question = `${argv.join(' ')} ${text}`
    const ask = async (): Promise<CommandAnswer> => {
      await wire.clock.sleep(run)
      const answer = await wire.serve(exchange, () => service.run(argv, text))
      if (!exchange.mutates) wire.remember(question, answer)
      return answer
    }
    const hang = async (): Promise<Partial<ExecResult>> => {
      await wire.clock.sleep(deadline)
      return { ended: detached ? 'running' : 'killed' }
    }
    const found = await suffered(exchange, ask, hang, wire.earlier<CommandAnswer>(question))
    const whole = { argv, ended: 'exited', stdout: '', stderr: '', milliseconds: run, ...found } as const
    exchange.answer = `${whole.ended} ${whole.exitCode ?? ''} ${`${whole.stdout}${whole.stderr}`.slice(0, 80).replace(/\s+/g, ' ')}`
    return { ...whole, ok: whole.ended === 'exited' && whole.exitCode !== undefined && accept.includes(whole.exitCode) }
  }

  async function through(items: readonly BatchItem[]): Promise<readonly BatchResult<BatchItem>[]> {
    await wire.clock.sleep(trip)
    const results: BatchResult<BatchItem>[] = []
    let failed = false
    for (const item of items) {
      if (!('exec' in item)) {
        if (service.look === undefined) throw new TypeError('There is nothing to read here.')
        results.push(await service.look(item))
      } else if (failed) {
        results.push({ argv: item.exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 })
      } else {
        const result = await execute(item)
        results.push(result)
        failed = !result.ok
      }
    }
    return results
  }

  /** With the errors of a host that is reached over a connection: what changes something may have been begun. */
  async function send(
    items: readonly BatchItem[],
    signal: AbortSignal | undefined,
  ): Promise<readonly BatchResult<BatchItem>[]> {
    if (signal?.aborted) throw abortedError(signal, 'host', 'unchanged')
    const outcome = items.some((item) => 'exec' in item) ? 'unknown' : 'unchanged'
    try {
      return await through(items)
    } catch (thrown) {
      if (!(thrown instanceof Lost)) throw thrown
      throw new VolumeExpansionError('host-unreachable', `The connection to ${id} was lost.`, {
        ...{ layer: 'host', outcome, retryable: true, remedy: 'Run it again: it observes first.' },
      })
    }
  }

  return {
    id,
    async exec(argv, { signal, ...options } = {}) {
      const [result] = await send([{ exec: argv, ...options }], signal)
      return result as ExecResult
    },
    async batch<const Items extends readonly BatchItem[]>(
      items: Items,
      { signal }: { readonly signal?: AbortSignal } = {},
    ): Promise<BatchResults<Items>> {
      return (await send(items, signal)) as unknown as BatchResults<Items>
    },
  }
}

type Found = Partial<ExecResult> | CommandAnswer

async function suffered(
  exchange: Exchange,
  ask: () => Promise<CommandAnswer>,
  hang: () => Promise<Partial<ExecResult>>,
  earlier: CommandAnswer | undefined,
): Promise<Found> {
  const { fault } = exchange
  if (fault === undefined || (fault.name === 'stale' && earlier === undefined)) {
    exchange.fault = undefined
    return await ask()
  }
  if (fault.name === 'stale' && earlier !== undefined) return earlier
  const done = fault.moment === 'after' ? await ask() : undefined
  return await damaged(fault, done, hang)
}

async function damaged(
  { name }: Fault,
  done: CommandAnswer | undefined,
  hang: () => Promise<Partial<ExecResult>>,
): Promise<Found> {
  switch (name) {
    case 'exit-1':
      return { exitCode: 1, stdout: '', stderr: 'it failed for a reason of its own' }
    case 'exit-110':
      return { exitCode: 110, stdout: '', stderr: 'rbd: operation failed: (110) Connection timed out' }
    case 'silent':
      return { exitCode: 0, stdout: '', stderr: '' }
    case 'hung':
      return await hang()
    case 'signalled':
      return { ended: 'signalled', signal: 'SIGKILL' }
    case 'truncated':
      return { exitCode: 0, stdout: (done?.stdout ?? '').slice(0, Math.floor((done?.stdout ?? '').length / 2)) }
    case 'garbage':
      return { exitCode: 0, stdout: '\u0000<{"what is this' }
    case 'not-executable':
      return { ended: 'refused' }
    case 'missing':
      return { ended: 'missing' }
    case 'denied':
      return { exitCode: 13, stdout: '', stderr: 'error: (13) Permission denied' }
    case 'connection':
      throw new Lost()
    default:
      throw new TypeError(`There is no fault ${name}.`)
  }
}
