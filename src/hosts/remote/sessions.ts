import type { Ending, RemoteChannel, RemoteTransport } from './host.ts'
import { Slots } from './slots.ts'

/** A script that runs on the other machine, and answers one batch after the other. */
export interface Session {
  readonly channel: RemoteChannel
  readonly ended: Promise<Ending>
  /** Whether it has answered before: then the script is there, and only what it is to do has to be sent. */
  readonly answered: boolean
  /** Milliseconds since then. */
  readonly rested: number
}

interface Kept extends Session {
  isOver: boolean
}

/**
 * Sessions that are kept for the next batch where the way to the machine allows it. Each serves one batch at a time, so that one that hangs with a disk holds up no other:
 * it never comes back, and others are begun.
 */
export class Sessions {
  readonly #transport: RemoteTransport
  readonly #slots: Slots | undefined
  #resting: Kept[] = []
  #preparing: Promise<void> | undefined

  constructor(transport: RemoteTransport) {
    this.#transport = transport
    this.#slots = transport.keeps === undefined ? undefined : new Slots(transport.keeps)
  }

  async take(signal: AbortSignal | undefined): Promise<Session> {
    // Whoever comes meanwhile gets what is being prepared, or learns why there is none.
    if (this.#resting.length === 0) await this.#preparing
    return await this.#take(signal)
  }

  /** Begins a session before it is needed. @param greet makes the script answer for the first time */
  prepare(greet: (session: Session) => Promise<unknown>): void {
    if (this.#resting.length > 0 || this.#preparing !== undefined) return
    const preparing = this.#prepare(greet).finally(() => {
      this.#preparing = undefined
    })
    preparing.catch(() => undefined)
    this.#preparing = preparing
  }

  async #prepare(greet: (session: Session) => Promise<unknown>): Promise<void> {
    const session = await this.#take(undefined)
    let isDone = false
    try {
      await greet(session)
      isDone = true
    } finally {
      this.giveBack(session, isDone)
    }
  }

  async #take(signal: AbortSignal | undefined): Promise<Session> {
    await this.#slots?.enter()
    try {
      return (await this.#rested()) ?? begun(await this.#transport.open(signal))
    } catch (error) {
      this.#slots?.leave()
      throw error
    }
  }

  /** @param isDone it has answered to the end, and listens for the next batch */
  giveBack({ channel, ended }: Session, isDone: boolean): void {
    if (isDone && this.#transport.keeps !== undefined) {
      const since = performance.now()
      const kept: Kept = {
        ...{ channel, ended, answered: true, isOver: false },
        get rested() {
          return performance.now() - since
        },
      }
      const over = (): void => {
        kept.isOver = true
        this.#resting = this.#resting.filter((other) => other !== kept)
      }
      ended.then(over, over)
      this.#resting.push(kept)
      channel.rest?.()
    } else {
      // The end of the input ends what may still run there; the channel then closes by itself.
      channel.stdin.end()
    }
    channel.stdout.resume()
    this.#slots?.leave()
  }

  /** Ends those that rest. */
  close(): void {
    for (const { channel } of this.#resting.splice(0)) channel.stdin.end()
  }

  async #rested(): Promise<Session | undefined> {
    for (let kept = this.#resting.pop(); kept !== undefined; kept = this.#resting.pop()) {
      kept.channel.wake?.()
      // A connection that is gone says so before anything is sent over it.
      await turnOfEvents()
      if (!kept.isOver && kept.channel.isLost?.() !== true) return kept
    }
    return undefined
  }
}

function begun(channel: RemoteChannel): Session {
  const { ended } = channel
  ended.catch(() => undefined)
  // The other side may end without reading; how it ended tells why.
  channel.stdin.on('error', () => undefined)
  return { channel, ended, answered: false, rested: 0 }
}

/** What has arrived by now is told to those who listen: one turn to hear of it, one for what it closes, and both may have been under way. */
async function turnOfEvents(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await new Promise((resolve) => setImmediate(resolve))
}
