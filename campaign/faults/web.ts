import { abortedError, type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import type { HttpAnswer, HttpClient } from '../../src/services/http.ts'
import type { Exchange, Wire } from './wire.ts'

export interface WebRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface WebAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** How a request ended without an answer. */
export class Broken extends Error {
  readonly how: 'reset' | 'refused' | 'cut' | 'late'
  constructor(how: Broken['how']) {
    super(how)
    this.how = how
  }
}

/** What is behind a wire of requests. */
export interface WebService {
  /** The kind of request. */
  operation(request: WebRequest): string
  mutates(request: WebRequest): boolean
  answer(request: WebRequest): WebAnswer | Promise<WebAnswer>
  /** Whether the answer may wait in the world for long. Left out: never. */
  waits?(request: WebRequest): boolean
}

/** Milliseconds of one way. */
const way = 15
/** Milliseconds after which a client gives up. */
const patience = 30_000

const page = '<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>'

/** One request with what goes wrong with it. @throws {Broken} */
export async function exchanged(
  wire: Wire,
  service: WebService,
  request: WebRequest,
  timeout: number = patience,
): Promise<WebAnswer> {
  const operation = service.operation(request)
  const exchange = wire.begin(operation, service.mutates(request))
  const question = `${request.method} ${request.url.pathname}${request.url.search} ${request.body}`
  try {
    const answer = await suffered(wire, service, request, exchange, question, timeout)
    exchange.answer = `${answer.status}${answer.text === '' ? '' : ` ${answer.text.slice(0, 80).replace(/\s+/g, ' ')}`}`
    return answer
  } catch (thrown) {
    exchange.answer = thrown instanceof Broken ? thrown.how : String(thrown)
    throw thrown
  }
}

async function suffered(
  wire: Wire,
  service: WebService,
  request: WebRequest,
  exchange: Exchange,
  question: string,
  timeout: number,
): Promise<WebAnswer> {
  const { clock } = wire
  const inTurn = service.waits?.(request) !== true
  const ask = async (): Promise<WebAnswer> => {
    const answer = await wire.serve(exchange, () => service.answer(request), inTurn)
    if (!exchange.mutates) wire.remember(question, answer)
    return answer
  }
  const { fault } = exchange
  if (fault?.name === 'refused') throw new Broken('refused')
  await clock.sleep(way)
  const earlier = wire.earlier<WebAnswer>(question)
  if (fault === undefined || (fault.name === 'stale' && earlier === undefined)) {
    exchange.fault = undefined
    const answer = await ask()
    await clock.sleep(way)
    return answer
  }
  if (fault.name === 'stale' && earlier !== undefined) return earlier
  if (fault.name === 'duplicate') {
    const [first, second] = [await ask(), await ask()]
    return fault.moment === 'before' ? first : second
  }
  if (fault.name === 'late') {
    void clock.sleep(timeout * 2).then(ask)
    await clock.sleep(timeout)
    throw new Broken('late')
  }
  const done = fault.moment === 'after' ? await ask() : undefined
  return await damaged(fault.name, done, () => clock.sleep(timeout))
}

async function damaged(name: string, done: WebAnswer | undefined, wait: () => Promise<void>): Promise<WebAnswer> {
  const json = { 'content-type': 'application/json' }
  const whole: WebAnswer = done ?? { status: 200, headers: json, text: '{"kind":"nothing that was asked for"}' }
  switch (name) {
    case '429':
    case '500':
    case '503':
    case '401':
    case '403':
      return { status: Number(name), headers: { 'content-type': 'text/plain' }, text: `status ${name}` }
    case '429-retry-after':
      return { status: 429, headers: { 'content-type': 'text/plain', 'retry-after': '3' }, text: 'slow down' }
    case '502-html':
      return { status: 502, headers: { 'content-type': 'text/html' }, text: page }
    case 'html':
      return { status: 200, headers: { 'content-type': 'text/html' }, text: page }
    case 'truncated':
      return { ...whole, text: whole.text.slice(0, Math.floor(whole.text.length / 2)) }
    case 'malformed':
      return { ...whole, text: '\u0000{"<&oops' }
    case 'shape':
      return { ...whole, text: whole.text.trimStart().startsWith('<') ? '<?xml version="1.0"?><Other/>' : '{}' }
    case 'cut':
      throw new Broken('cut')
    case 'slow':
      await wait()
      throw new Broken('late')
    case 'reset':
    case 'lost':
      throw new Broken('reset')
    default:
      throw new TypeError(`There is no fault ${name}.`)
  }
}

/** The port of providers that speak HTTP, with the errors that the library's own client has for each end. */
export function wiredClient(wire: Wire, provider: string, service: WebService): HttpClient {
  return {
    close: () => undefined,
    async send(given) {
      const { method, signal, timeout = patience } = given
      const isRead = given.readOnly ?? method === 'GET'
      const outcome: Outcome = isRead ? 'unchanged' : 'unknown'
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const body =
        given.body === undefined ? '' : typeof given.body === 'string' ? given.body : JSON.stringify(given.body)
      const request = { method, url: new URL(given.url), headers: { ...given.headers }, body }
      const answering = exchanged(wire, service, request, timeout)
      answering.catch(() => undefined)
      try {
        return answerOf(await orAbort(answering, signal, outcome), provider, outcome)
      } catch (thrown) {
        if (!(thrown instanceof Broken)) throw thrown
        const late = thrown.how === 'late'
        throw new VolumeExpansionError(late ? 'timeout' : 'backend-unreachable', `It ended as ${thrown.how}.`, {
          ...{ layer: 'volume', provider, retryable: true, remedy: 'Run it again.' },
          outcome: thrown.how === 'refused' ? 'unchanged' : outcome,
        })
      }
    },
  }
}

async function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined, outcome: Outcome): Promise<T> {
  if (signal === undefined) return await promise
  return await new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(abortedError(signal, 'volume', outcome))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

function answerOf({ status, headers, text }: WebAnswer, provider: string, outcome: Outcome): HttpAnswer {
  return {
    ...{ status, headers, text },
    json() {
      if (text.trim() === '') return undefined
      try {
        return JSON.parse(text) as unknown
      } catch (cause) {
        throw new VolumeExpansionError('backend-unreachable', 'That is not JSON.', {
          ...{ layer: 'volume', provider, outcome, retryable: true, cause, remedy: 'Run it again.' },
        })
      }
    },
  }
}
