import { inspect } from 'node:util'
import { expect, vi } from 'vitest'
import { secretIn } from '../../src/conformance/secrets.ts'
import { type ExpandRequest, expand, plan } from '../../src/index.ts'
import { jsonSafe } from '../../src/json.ts'

/** Everything that was shown while it watched, by the place where it was shown. */
export class Watch {
  readonly #shown: { readonly where: string; readonly text: string }[] = []
  readonly #restore: (() => void)[] = []

  /** From now on, what is written to the console and to the standard outputs is remembered, and written no more. */
  constructor() {
    for (const stream of [process.stdout, process.stderr]) {
      const spy = vi.spyOn(stream, 'write').mockImplementation((text) => {
        this.#shown.push({ where: 'an output', text: Buffer.from(text).toString() })
        return true
      })
      this.#restore.push(() => spy.mockRestore())
    }
    for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
      const spy = vi.spyOn(console, method).mockImplementation((...values) => this.show('the console', values))
      this.#restore.push(() => spy.mockRestore())
    }
  }

  /** Remembers how the value looks to a debugger, as JSON, and as text; of an error also the stack and all of its causes. */
  show(where: string, value: unknown): void {
    const texts = [
      inspect(value, { depth: 20, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null }),
    ]
    texts.push(JSON.stringify(jsonSafe(value)))
    for (let error = value; error instanceof Error; error = error.cause) texts.push(`${error}\n${error.stack}`)
    this.#shown.push({ where, text: texts.join('\n') })
  }

  /** Plans and runs it, shows everything that comes of it, and says how it ended: the code of its failure, or `done`. */
  async run(request: ExpandRequest): Promise<string> {
    this.show('the request', request)
    try {
      const planned = await plan(request)
      this.show('the plan', planned)
      const run = expand(request)
      this.show('the run', run)
      for await (const event of run) this.show('an event', event)
      const report = await run
      this.show('the report', report)
      return 'done'
    } catch (error) {
      this.show('an error', error)
      return (error as { readonly code?: string }).code ?? `${error}`
    }
  }

  /** Ends the watch, and fails when one of the secrets was shown anywhere, in whichever form. */
  expectNone(secrets: readonly string[]): void {
    for (const restore of this.#restore.splice(0)) restore()
    const leaks = this.#shown.flatMap(({ where, text }) =>
      secretIn(text, secrets) === undefined ? [] : [`${where}: ${text.slice(0, 2000)}`],
    )
    expect(leaks).toEqual([])
    expect(this.#shown.length).toBeGreaterThan(0)
  }
}
