import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { until } from './commands.ts'
import type { PlainRequest } from './requests.ts'

/** An event as it came through the pipe. */
export interface PlainEvent {
  readonly type: string
  readonly action?: { readonly layer: string }
  readonly report?: { readonly changed: boolean }
  readonly error?: { readonly code: string; readonly outcome: string }
  /** Of programs that tell of their calls. */
  readonly call?: string
  readonly nth?: number
}

/** A process of its own that runs one request. */
export class LibraryProcess {
  readonly events: PlainEvent[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #said = ''

  /**
   * @param wrapper a command that is put before the program, such as one that takes rights away
   * @param program what runs the request; left out: the one for requests on this machine
   */
  constructor(request: PlainRequest, wrapper?: readonly string[])
  constructor(request: object, wrapper: readonly string[], program: URL)
  constructor(
    request: object,
    wrapper: readonly string[] = [],
    program: URL = new URL('./library-process.ts', import.meta.url),
  ) {
    const node = [process.execPath, '--import', 'tsx', fileURLToPath(program), JSON.stringify(request)]
    const [command = '', ...args] = [...wrapper, ...node]
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#ended = once(this.#child, 'close')
    onTestFinished(() => this.kill())
  }

  #read(text: string): void {
    const lines = `${this.#said}${text}`.split('\n')
    this.#said = lines.pop() ?? ''
    this.events.push(...lines.map((line): PlainEvent => JSON.parse(line)))
  }

  /** Waits for an event, of an action on a layer if one is named. */
  seen(type: string, layer?: string): Promise<PlainEvent> {
    return until(`the event ${type} of ${layer ?? 'any layer'}`, () =>
      this.events.find((event) => event.type === type && (layer === undefined || event.action?.layer === layer)),
    )
  }

  /** Waits until it comes to a call, the how manieth of its name. */
  calls(call: string, nth: number): Promise<PlainEvent> {
    return until(
      `the call ${call} (${nth})`,
      () => this.events.find((event) => event.type === 'call' && event.call === call && event.nth === nth),
      300,
    )
  }

  /** Writes a line to it. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** The last event, when the process has ended. */
  async end(): Promise<PlainEvent | undefined> {
    await this.#ended
    return this.events.at(-1)
  }

  /** As a crash would: at once. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
