import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { until } from '../../test/real/support/commands.ts'

/** A growth as plain data, for a process of its own. */
export interface GrowRequest {
  readonly image: string
  /** Bytes, as a decimal string. */
  readonly to: string
  readonly luksKey?: string
  /** Left out: it lives until somebody kills it. */
  readonly dies?: Boundary
}

/** A call by which the library looks at the world or changes it, the how manieth of its name, and whether before it or after it. */
export interface Boundary {
  readonly call: string
  readonly nth: number
  readonly after: boolean
}

/** A line that it has written. */
export interface Told {
  readonly type: string
  /** When it came, in milliseconds. */
  readonly heard: number
  readonly call?: string
  readonly nth?: number
  readonly action?: { readonly layer: string }
  readonly error?: { readonly code: string; readonly outcome: string; readonly message: string }
}

/** A process of its own that runs one growth. */
export class Library {
  readonly told: Told[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #said = ''

  constructor(program: string, request: GrowRequest) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(request)], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${this.#said}${text}`.split('\n')
      this.#said = lines.pop() ?? ''
      const heard = performance.now()
      this.told.push(...lines.map((line): Told => ({ ...JSON.parse(line), heard })))
    })
    this.#ended = once(this.#child, 'close')
  }

  /** The boundaries that it has come to, each before a call. */
  get boundaries(): readonly Boundary[] {
    return this.told.flatMap(({ call, nth }) =>
      call === undefined || nth === undefined ? [] : [{ call, nth, after: false }],
    )
  }

  /** Layers of the actions with which this has happened. */
  layers(type: 'action-started' | 'action-finished'): readonly string[] {
    return this.told.flatMap((line) => (line.type === type ? [line.action?.layer ?? ''] : []))
  }

  /** Waits until an action has begun, or until the process has ended. */
  async begun(): Promise<void> {
    await this.#seen(({ type }) => type === 'action-started')
  }

  /** Waits until it makes such a call for the first time, or until the process has ended. */
  async makes(call: string): Promise<void> {
    await this.#seen((told) => told.call === call)
  }

  async #seen(one: (told: Told) => boolean): Promise<void> {
    const isOver = (): boolean => this.#child.exitCode !== null || this.#child.signalCode !== null
    await until('a line of the library', () => isOver() || this.told.some(one), 300)
  }

  /** Milliseconds from a call to whatever was heard after it. */
  lasting(call: string): number {
    const at = this.told.findIndex((told) => told.call === call)
    const [made, next] = [this.told[at], this.told[at + 1]]
    return made === undefined || next === undefined ? 0 : next.heard - made.heard
  }

  /** Resolves when it has ended. @returns whether it was killed */
  async end(): Promise<boolean> {
    await this.#ended
    return this.#child.signalCode === 'SIGKILL'
  }

  /**
   * As a crash would: at once.
   *
   * @param tools with the programs that it has started, those in sessions of their own among them
   * @returns names of these programs
   */
  kill(tools: boolean): readonly string[] {
    const { pid } = this.#child
    if (pid === undefined || this.#child.exitCode !== null) return []
    // It starts nothing more while its children are looked for.
    this.#child.kill('SIGSTOP')
    const children = tools ? descendantsOf(pid) : []
    this.#child.kill('SIGKILL')
    const names = children.map(nameOf)
    for (const child of children) killed(child)
    return names
  }
}

function descendantsOf(pid: number): readonly number[] {
  const children = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) && parentOf(Number(name)) === pid ? [Number(name)] : [],
  )
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

// The name in parentheses may hold anything.
function parentOf(pid: number): number {
  return Number(textOf(`/proc/${pid}/stat`).replace(/^.*\)/s, '').split(' ')[2])
}

function nameOf(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trim()
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
