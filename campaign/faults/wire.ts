import { AsyncLocalStorage } from 'node:async_hooks'
import type { VirtualClock } from '../../src/testing/index.ts'
import { type Fault, showFault } from './fault.ts'

/** One request, command or call that left the library. */
export interface Exchange {
  /** From 1, over all runs of a scenario. */
  readonly number: number
  /** The run that it belongs to; a read may be shared by several, and is then the first one's. */
  readonly run: number
  /** What kind of request it is, such as `GET /volumes/ID`. */
  readonly operation: string
  readonly mutates: boolean
  /** Milliseconds of the world's clock. */
  readonly at: number
  /** What went wrong with it, if anything did. */
  fault: Fault | undefined
  /** How many growths the world has accepted of it. */
  accepted: number
  /** In short, what the library got. */
  answer: string
}

/** What the wire has to know of what is behind it. */
export interface Backend {
  /** Bytes that can be used now. */
  size(): bigint
  /** How many growths that came over the wire were accepted so far. */
  accepted(): number
}

export type Chooser = (exchange: Exchange) => Fault | undefined
export type Witness = (exchange: Exchange, stage: 'sent' | 'served') => void

const runs = new AsyncLocalStorage<number>()

/** Everything that starts in `work` belongs to the run. */
export function asRun<T>(run: number, work: () => T): T {
  return runs.run(run, work)
}

/** What is between the library and a world: it counts and logs every exchange, decides what goes wrong with it, and watches that the world never gets smaller. */
export class Wire {
  readonly clock: VirtualClock
  readonly exchanges: Exchange[] = []
  /** Every time that the world was seen to be smaller than before. */
  readonly shrunk: string[] = []
  choose: Chooser = () => undefined
  witness: Witness = () => undefined
  #backend: Backend | undefined
  #size = 0n
  // Answers to reads, by what was asked.
  readonly #before = new Map<string, unknown>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(clock: VirtualClock) {
    this.clock = clock
  }

  attach(backend: Backend): void {
    this.#backend = backend
    this.look('the beginning')
  }

  /** Compares the world's size with the one before. */
  look(when: string): void {
    const size = this.#backend?.size() ?? 0n
    if (size < this.#size) this.shrunk.push(`${this.#size} became ${size} at ${when}`)
    this.#size = size
  }

  begin(operation: string, mutates: boolean): Exchange {
    const exchange: Exchange = {
      ...{ number: this.exchanges.length + 1, run: runs.getStore() ?? 0, operation, mutates, at: this.clock.now() },
      ...{ fault: undefined, accepted: 0, answer: 'none' },
    }
    this.exchanges.push(exchange)
    exchange.fault = this.choose(exchange)
    this.witness(exchange, 'sent')
    return exchange
  }

  /** Asks the world; one after the other, so that what it accepts can be told apart. Requests that wait in the world are not `inTurn`. */
  async serve<Answer>(exchange: Exchange, ask: () => Answer | Promise<Answer>, inTurn = true): Promise<Answer> {
    const asked = async (): Promise<Answer> => {
      const before = this.#backend?.accepted() ?? 0
      const answer = await ask()
      exchange.accepted += (this.#backend?.accepted() ?? 0) - before
      this.look(`exchange ${exchange.number} (${exchange.operation})`)
      this.witness(exchange, 'served')
      return answer
    }
    if (!inTurn) return await asked()
    const turn = this.#turn.then(asked, asked)
    this.#turn = turn.catch(() => undefined)
    return await turn
  }

  /** The answer that the same question had before; undefined when it is asked for the first time. */
  earlier<Answer>(question: string): Answer | undefined {
    return this.#before.get(question) as Answer | undefined
  }

  remember(question: string, answer: unknown): void {
    this.#before.set(question, answer)
  }
}

export function showExchange({ number, run, operation, mutates, at, fault, accepted, answer }: Exchange): string {
  const wrong = fault === undefined ? '' : `  << ${showFault(fault)}`
  const taken = accepted === 0 ? '' : `  [accepted ${accepted}]`
  return `${`${number}`.padStart(4)} ${(at / 1000).toFixed(2).padStart(9)} s  run ${run}  ${mutates ? '*' : ' '} ${operation} -> ${answer}${wrong}${taken}`
}
