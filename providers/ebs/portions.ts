import { Slice } from '../../src/services/slices.ts'

/** Characters of a list that are read at a time: some ten volumes, in about a millisecond. */
const portionLength = 8000

/** What is used of the middleware of the SDK (AWS SDK for JavaScript v3 Developer Guide, "Middleware stack"): steps around one another, whose innermost sends. */
type Handler = (args: object) => Promise<Handled>
type Middleware = (next: Handler) => Handler

interface Handled {
  readonly response?: unknown
  readonly output?: unknown
}

interface Stack {
  add(middleware: Middleware, options: { step: 'deserialize'; priority: 'high' | 'low'; name: string }): void
}

interface Reading {
  /** Undefined: not sent yet. */
  response: { readonly [name: string]: unknown } | undefined
  /** What of the answer is still to be read. */
  left: readonly string[]
}

/** What is being read of each request, by the arguments that both steps see. */
const readings = new WeakMap<object, Reading>()

/**
 * Has the SDK read a long list in portions, between which the rest of the process goes on: it reads an answer in one go, and a page of 500 entries would hold the event
 * loop up for 50 milliseconds and more. Its own reader is called for one portion after the other; what cannot be divided beyond doubt, and what another kind of client
 * answers, is read as ever.
 *
 * @param isPatient whether others have their turn in between; on a clock of tests, time would pass meanwhile
 */
export function readInPortions(command: object, isPatient = true): void {
  const { middlewareStack: stack } = command as { readonly middlewareStack?: Partial<Stack> }
  if (typeof stack?.add !== 'function') return
  // The SDK's reader is between the two.
  stack.add(isPatient ? gatherPatiently : gatherAtOnce, {
    step: 'deserialize',
    priority: 'high',
    name: 'gatherPortions',
  })
  stack.add(divide, { step: 'deserialize', priority: 'low', name: 'divideIntoPortions' })
}

const gathering =
  (isPatient: boolean): Middleware =>
  (next) =>
  async (given) => {
    const args = { ...given }
    const reading: Reading = { response: undefined, left: [] }
    readings.set(args, reading)
    const work = new Slice()
    const first = await next(args)
    const outputs: unknown[] = [first.output]
    while (reading.left.length > 0) {
      if (isPatient && work.isOver) await work.next()
      outputs.push((await next(args)).output)
    }
    return outputs.length === 1 ? first : { ...first, output: together(outputs) }
  }

const gatherPatiently = gathering(true)
const gatherAtOnce = gathering(false)

const divide: Middleware = (next) => async (args) => {
  const reading = readings.get(args)
  if (reading === undefined) return await next(args)
  if (reading.response === undefined) {
    const handled = await next(args)
    const { response } = handled
    const text = await textOf(response)
    if (text === undefined) return handled
    reading.response = response as NonNullable<Reading['response']>
    reading.left = portionsOf(text)
  }
  const [portion = '', ...left] = reading.left
  reading.left = left
  return { response: withBody(reading.response, portion) }
}

/** The body of a success. Undefined: it is none, or has a body that is read in another way. */
async function textOf(response: unknown): Promise<string | undefined> {
  const { statusCode, body } = (response ?? {}) as { readonly statusCode?: unknown; readonly body?: unknown }
  if (statusCode !== 200) return undefined
  if (body instanceof Uint8Array) return new TextDecoder().decode(body)
  if (typeof body !== 'object' || body === null || !(Symbol.asyncIterator in body)) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The same kind of response: the SDK's reader knows it by its class. */
function withBody(response: object, text: string): object {
  return Object.assign(Object.create(Object.getPrototypeOf(response)), response, { body: Buffer.from(text) })
}

const tags = /<(\/?)item>/g
const anotherFollows = /\s*<item>/y
// EC2 writes none of these; where there is one, what is an entry is no longer certain.
const doubtful = /<item[\s/]|<!/

/** One document for every few entries of the only list that it has; of a document in which that is in doubt, itself. */
export function portionsOf(text: string): readonly string[] {
  if (text.length <= portionLength || doubtful.test(text)) return [text]
  const begin = text.indexOf('<item>')
  if (begin === -1) return [text]
  const cuts: number[] = []
  let depth = 0
  let end = begin
  tags.lastIndex = begin
  for (let tag = tags.exec(text); tag !== null; tag = tags.exec(text)) {
    depth += tag[1] === '' ? 1 : -1
    if (depth > 0) continue
    end = tags.lastIndex
    anotherFollows.lastIndex = end
    if (depth < 0 || !anotherFollows.test(text)) break
    if (end - (cuts.at(-1) ?? begin) >= portionLength) cuts.push(end)
  }
  const [head, tail] = [text.slice(0, begin), text.slice(end)]
  // A second list would be read once for each portion.
  if (depth !== 0 || head.includes('</item>') || /<\/?item>/.test(tail)) return [text]
  return [begin, ...cuts].map((from, index) => head + text.slice(from, cuts[index] ?? end) + tail)
}

/** The lists of all, one after the other; whatever else there is, of the first. */
function together(outputs: readonly unknown[]): object {
  const all: Record<string, unknown> = {}
  for (const output of outputs) {
    for (const [name, value] of Object.entries(output ?? {})) {
      const known = all[name]
      if (Array.isArray(known) && Array.isArray(value)) for (const item of value) known.push(item)
      else if (known === undefined) all[name] = Array.isArray(value) ? value.slice() : value
    }
  }
  return all
}
