import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { onAbort } from '../../abort.ts'
import { abortedError, VolumeExpansionError } from '../../errors.ts'
import { checkItem, type Progress, untilAborted } from '../batch.ts'
import { searchPath } from '../command.ts'
import type { BatchItem, BatchOptions, BatchResults, ExecResult, Host, ReadResult, StorageRead } from '../host.ts'
import { readStorage } from '../storage/snapshot.ts'
import { partitionAttributes } from '../sysfs.ts'
import { Facts } from './facts.ts'
import { type Frame, FrameReader } from './frames.ts'
import { itemOf, probeParameters, resultsOf, sysfsAttributes } from './items.ts'
import { type Elevation, encodeOpening, encodeRequest, type Interpreter, type Item } from './request.ts'
import { type Session, Sessions } from './sessions.ts'
import { remoteSource } from './source.ts'

/** How the boot command ended. */
export interface Ending {
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
}

/** One run of the boot command on the other machine. */
export interface RemoteChannel {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * How the boot command ended. Rejects when the connection was lost; with a `VolumeExpansionError` when it is known that the boot command was never started, and why.
   */
  readonly ended: Promise<Ending>
  /** Gives up: the other side sees the end of its input. Idempotent. */
  close(): void
  /** Whether the connection is known to be gone, also where that has not ended the channel yet. */
  isLost?(): boolean
  /** It is kept for later, and nobody waits for anything. */
  rest?(): void
  /** It is used again. */
  wake?(): void
}

/** The way to a machine: starts the boot command of `request.ts` there, as often as it is asked to. */
export interface RemoteTransport {
  /** How many channels there may be at a time; they are kept for further batches then. Left out: each serves one batch, and their number is the transport's affair. */
  readonly keeps?: number
  /** @throws {VolumeExpansionError} when the machine cannot be reached; nothing was begun */
  open(signal: AbortSignal | undefined): Promise<RemoteChannel>
  close(): Promise<void>
}

export interface RemoteHostOptions {
  readonly id: string
  readonly transport: RemoteTransport
  readonly elevation: Elevation
  /** Asked anew for each session; only with elevation `sudo-with-password`. */
  readonly password?: (() => string | Promise<string>) | undefined
  readonly sudoCommands: boolean
  readonly runtimeDirectories: readonly string[]
  /** Why a boot command that ended by itself has not said a word of the script's, where its way to the machine knows. Left out: a login shell is behind it. */
  readonly explain?: (id: string, words: string, ending: Ending) => VolumeExpansionError | undefined
  /** What runs the script. Left out: perl where the machine has it, which looks without starting a process; otherwise its shell. */
  readonly interpreter?: Interpreter | undefined
}

/** What is known of the other machine as long as the host lives. */
interface Remote extends RemoteHostOptions {
  readonly sessions: Sessions
  /** What has run the script before. */
  known: Interpreter | undefined
}

/** A host behind a transport that carries bytes both ways: a script there does one batch after the other. */
export function remoteHost(given: RemoteHostOptions): Host {
  // What goes through sudo one by one are programs of their own.
  const interpreter = given.sudoCommands ? 'shell' : given.interpreter
  const options: Remote = { ...given, interpreter, sessions: new Sessions(given.transport), known: interpreter }
  const batch = async <const Items extends readonly BatchItem[]>(
    items: Items,
    { signal }: BatchOptions = {},
  ): Promise<BatchResults<Items>> => {
    for (const item of items) checkItem(item)
    const progress: Progress = { begun: false }
    const stop = new AbortController()
    const forget = onAbort(signal, () => stop.abort(signal?.reason))
    const work = (): Promise<unknown[]> => carryOut(items, options, stop.signal, progress)
    const results = await untilAborted(signal, progress, work).finally(forget)
    // One result per item, in order and of the item's own kind: what the mapped type says and the compiler cannot follow.
    return results as unknown as BatchResults<Items>
  }
  return {
    id: options.id,
    async exec(argv, { signal, ...given } = {}): Promise<ExecResult> {
      const [result] = await batch([{ exec: argv, ...given }], signal === undefined ? {} : { signal })
      return result
    },
    batch,
    ...(given.transport.keeps === undefined ? {} : { reach: () => reach(options) }),
    async close() {
      options.sessions.close()
      await options.transport.close()
    },
  }
}

/** A session of its own may ask for a password, which is not done before it is needed. */
function reach(options: Remote): void {
  if (options.elevation === 'sudo-with-password') return
  options.sessions.prepare(async (session) => {
    const opening = session.answered ? new Uint8Array() : await openingFor([], options)
    await answerOf(session, [], false, opening, false, options, new AbortController().signal)
  })
}

async function carryOut(
  items: readonly BatchItem[],
  options: Remote,
  signal: AbortSignal,
  progress: Progress,
): Promise<unknown[]> {
  const results: unknown[] = []
  let failed = false
  for (const part of partsOf(items)) {
    const frames = await converse(part.map(itemOf), failed, options, signal, progress)
    const groups = groupsOf(frames)
    if (groups.length !== part.length) throw miscounted(options.id, part)
    const facts = factsOf(part, groups)
    for (const [index, item] of part.entries()) {
      const own = groups[index] ?? []
      const isStorage = 'read' in item && item.read === 'storage'
      const result = isStorage ? await storageOf(item, facts, options, signal) : resultsOf(item, own)
      if (('expect' in item || 'exec' in item) && !(result as { readonly ok: boolean }).ok) failed = true
      results.push(result)
    }
  }
  return results
}

/**
 * A storage read may need a second look. It has to be made before the commands after it, and so ends a part of the batch when there are any; in most batches it is
 * the last item, and there is one part.
 */
function partsOf(items: readonly BatchItem[]): readonly (readonly BatchItem[])[] {
  const parts: BatchItem[][] = [[]]
  const lastCommand = items.findLastIndex((item) => 'exec' in item)
  for (const [index, item] of items.entries()) {
    parts.at(-1)?.push(item)
    if ('read' in item && item.read === 'storage' && index < lastCommand) parts.push([])
  }
  return parts.filter((part) => part.length > 0)
}

// Each look can lead to others: from the bytes of a device to those that they point to, from a process to its mounts, from these to their sizes.
const mostLooks = 24

/** What all storage reads of a part have shown: nothing is changed between them, and a script tells each fact once. */
function factsOf(part: readonly BatchItem[], groups: readonly (readonly Frame[])[]): Facts {
  const facts = new Facts()
  for (const [index, item] of part.entries())
    if ('read' in item && item.read === 'storage') facts.learn(groups[index] ?? [])
  return facts
}

async function storageOf(
  item: StorageRead,
  facts: Facts,
  options: Remote,
  signal: AbortSignal,
): Promise<ReadResult<unknown>> {
  const source = remoteSource(facts, options.sudoCommands)
  for (let looks = 1; ; looks += 1) {
    facts.forgetWanted()
    const result = await readStorage(source, item)
    if (facts.wanted.length === 0) return result
    if (looks === mostLooks) return { ok: false, errno: 'EAGAIN', message: 'what is there changed while it was read' }
    facts.learn(await converse(facts.wanted, false, options, signal, { begun: false }))
  }
}

/** Answers are told apart by their order alone: when there are not as many as questions, none of them is known to be the one to its question. */
function miscounted(id: string, part: readonly BatchItem[]): VolumeExpansionError {
  const outcome = part.some((item) => 'exec' in item) ? 'unknown' : 'unchanged'
  return new VolumeExpansionError('host-unreachable', `What ${id} answered is not what was asked.`, {
    ...{ layer: 'host', outcome, retryable: true },
    remedy: 'Look at what its shell or its proxy adds to the output of commands. Then run it again: it observes first.',
  })
}

function groupsOf(frames: readonly Frame[]): readonly (readonly Frame[])[] {
  const groups: Frame[][] = []
  for (const frame of frames) {
    if (frame.fields[0] === 'i') groups.push([])
    else groups.at(-1)?.push(frame)
  }
  return groups
}

/**
 * Sends the items, and waits for the whole answer. A connection that is shared and kept may turn out to be gone just when it is needed: what only looks is
 * asked once more, over a new one.
 */
async function converse(
  items: readonly Item[],
  failed: boolean,
  options: Remote,
  signal: AbortSignal,
  progress: Progress,
): Promise<readonly Frame[]> {
  const mayChange = items.some(([name]) => name === 'exec')
  try {
    return await roundTrip(items, failed, mayChange, options, signal, progress)
  } catch (error) {
    if (mayChange || signal.aborted || !(error instanceof ConnectionLost)) throw error
    return await roundTrip(items, failed, mayChange, options, signal, progress)
  }
}

async function roundTrip(
  items: readonly Item[],
  failed: boolean,
  mayChange: boolean,
  options: Remote,
  signal: AbortSignal,
  progress: Progress,
): Promise<readonly Frame[]> {
  if (items.length === 0) return []
  const session = await (mayChange ? trustedSession(options, signal) : options.sessions.take(signal))
  let isDone = false
  try {
    const opening = session.answered ? new Uint8Array() : await openingFor(items, options)
    if (signal.aborted) throw abortedError(signal, 'host', progress.begun ? 'unknown' : 'unchanged')
    // From here on nobody knows how far the other side has come.
    if (mayChange) progress.begun = true
    const frames = await answerOf(session, items, failed, opening, mayChange, options, signal)
    // A shell that has watched its input for a command listens no more.
    isDone = !signal.aborted && !(mayChange && options.known === 'shell')
    return frames
  } finally {
    options.sessions.giveBack(session, isDone)
  }
}

/** Milliseconds for which a connection that has answered is taken to be there. */
const freshFor = 1000

/** A session to which a change can be given: a firewall may have forgotten a connection that has rested, and then nobody could say what became of the change. */
async function trustedSession(options: Remote, signal: AbortSignal): Promise<Session> {
  for (;;) {
    const session = await options.sessions.take(signal)
    if (!session.answered || session.rested < freshFor) return session
    try {
      await answerOf(session, [], false, new Uint8Array(), false, options, signal)
      return session
    } catch (error) {
      options.sessions.giveBack(session, false)
      if (signal.aborted || !(error instanceof VolumeExpansionError)) throw error
    }
  }
}

/** What makes the boot command the script. */
async function openingFor(items: readonly Item[], options: Remote): Promise<Uint8Array> {
  const { elevation, known, transport } = options
  const password = elevation === 'sudo-with-password' ? await passwordOf(options) : undefined
  // A session that is kept will be asked for other things as well.
  return encodeOpening({ elevation, password, interpreter: known, ...(transport.keeps === undefined ? { items } : {}) })
}

async function answerOf(
  { channel, ended }: Session,
  items: readonly Item[],
  failed: boolean,
  opening: Uint8Array,
  mayChange: boolean,
  options: Remote,
  signal: AbortSignal,
): Promise<readonly Frame[]> {
  const boundary = randomBytes(16).toString('hex')
  const { sudoCommands, runtimeDirectories, transport } = options
  const request = encodeRequest(items, {
    ...{ boundary, sudoCommands, runtimeDirectories, searchPath, failed, keep: transport.keeps !== undefined },
    ...{ attributes: sysfsAttributes, slices: partitionAttributes, ranges: probeParameters },
  })
  let [started, begun] = [false, false]
  const reader = new FrameReader(boundary, ([mark]) => {
    started = true
    begun ||= mark === 'b'
    if (mark === 'perl' || mark === 'shell') options.known = mark
  })
  const said = new LastWords()
  const listen = (chunk: Uint8Array): void => said.push(chunk)
  const give = (): void => channel.close()
  signal.addEventListener('abort', give, { once: true })
  let read: (chunk: Uint8Array) => void = () => undefined
  try {
    const answered = new Promise<void>((resolve) => {
      read = (chunk) => {
        reader.push(chunk)
        if (reader.ended) resolve()
      }
      channel.stdout.on('data', read)
      channel.stderr.on('data', listen)
    })
    channel.stdin.write(Buffer.concat([opening, request]))
    const outcome = mayChange ? 'unknown' : 'unchanged'
    const ending = await Promise.race([answered, ended]).catch((cause: unknown) => {
      if (cause instanceof VolumeExpansionError && !started) throw cause
      throw new ConnectionLost(options.id, outcome, cause)
    })
    if (reader.ended) return await unpacked(reader.frames, boundary)
    // What is known may be no longer true: perl can have been removed.
    if (!started) options.known = options.interpreter
    throw unanswered(options, reader.finish(), said.text(), ending ?? {}, begun)
  } finally {
    signal.removeEventListener('abort', give)
    channel.stdout.off('data', read)
    channel.stderr.off('data', listen)
    channel.stderr.resume()
  }
}

/** The frames, those of a compressed part in its place. */
async function unpacked(frames: readonly Frame[], boundary: string): Promise<readonly Frame[]> {
  const parts = frames.map(async (frame): Promise<readonly Frame[]> => {
    if (frame.fields[0] !== 'z') return [frame]
    const inner = new FrameReader(boundary)
    inner.push(await promisify(gunzip)(frame.body).catch(() => new Uint8Array()))
    return inner.finish()
  })
  return (await Promise.all(parts)).flat()
}

async function passwordOf({ id, password }: RemoteHostOptions): Promise<string> {
  const text = await password?.()
  if (typeof text === 'string' && text !== '' && !/[\n\r\0]/.test(text)) return text
  throw new VolumeExpansionError('authentication-failed', `There is no usable password for sudo on ${id}.`, {
    layer: 'host',
    outcome: 'unchanged',
    remedy: 'Let the callback sudo.password return it as one line.',
  })
}

/** The end of what was said on standard error. */
class LastWords {
  #text = ''

  push(chunk: Uint8Array): void {
    this.#text = `${this.#text}${Buffer.from(chunk).toString('utf8')}`.slice(-4000)
  }

  text(): string {
    return this.#text
  }
}

class ConnectionLost extends VolumeExpansionError {
  constructor(id: string, outcome: 'unknown' | 'unchanged', cause: unknown) {
    super('host-unreachable', `The connection to ${id} was lost before it had answered.`, {
      ...{ layer: 'host', outcome, retryable: true, cause },
      remedy:
        outcome === 'unknown'
          ? 'A tool that had begun goes on by itself. Run it again: it observes first and does only what is left.'
          : 'Nothing was begun. Run it again.',
    })
  }
}

/** Why a script that ended by itself did not answer to the end. */
function unanswered(
  { id, explain = noShell }: RemoteHostOptions,
  frames: readonly Frame[],
  words: string,
  ending: Ending,
  begun: boolean,
): VolumeExpansionError {
  const outcome = begun ? 'unknown' : 'unchanged'
  const last = frames.map(({ fields }) => fields)
  const absent = last.find(([mark]) => mark === 'absent')?.slice(1)
  if (absent !== undefined) {
    return new VolumeExpansionError(
      'tool-missing',
      `${id} lacks ${absent.join(', ')}, without which it cannot be read.`,
      {
        ...{ layer: 'host', outcome: 'unchanged' },
        remedy: 'Install the package coreutils (or busybox) there.',
      },
    )
  }
  if (last.some(([mark]) => mark === 'noscratch')) {
    return new VolumeExpansionError(
      'permission-denied',
      `There is no writable tmpfs on ${id} to keep the output of a command in.`,
      {
        ...{ layer: 'host', outcome },
        remedy: 'Mount a tmpfs at /run or /dev/shm there, or name a writable one as runtimeDirectory.',
      },
    )
  }
  if (frames.length === 0) {
    const refused = refusedBySudo(id, words) ?? explain(id, words, ending)
    if (refused !== undefined) return refused
  }
  const how = ending.signal === undefined ? `exit code ${ending.exitCode ?? 'unknown'}` : ending.signal
  return new VolumeExpansionError(
    'host-unreachable',
    `What was begun on ${id} ended before it had answered (${how}).`,
    {
      ...{ layer: 'host', outcome, retryable: true },
      remedy: 'Look into the log of its SSH server or container. Then run it again: it observes first.',
    },
  )
}

function refusedBySudo(id: string, words: string): VolumeExpansionError | undefined {
  const details = { layer: 'host', outcome: 'unchanged' } as const
  const denied = (message: string, remedy: string): VolumeExpansionError =>
    new VolumeExpansionError('permission-denied', message, { ...details, remedy })
  if (/sudo: not accepted/.test(words) && /try again|incorrect password|password attempt|no password/i.test(words)) {
    return new VolumeExpansionError('authentication-failed', `sudo on ${id} did not accept the password.`, {
      ...details,
      remedy: 'Check what the callback sudo.password returns.',
    })
  }
  if (/sudo: not found/.test(words)) {
    return new VolumeExpansionError('tool-missing', `There is no sudo on ${id}.`, {
      ...details,
      remedy: 'Install the package sudo there, or log in as root.',
    })
  }
  if (/you must have a tty/.test(words)) {
    return denied(`sudo on ${id} insists on a terminal.`, "Add 'Defaults:<user> !requiretty' to its sudoers.")
  }
  if (/not in the sudoers|not allowed to|may not run sudo/.test(words)) {
    return denied(`sudo on ${id} does not allow it.`, 'Allow the user to run commands as root in its sudoers.')
  }
  if (/a password is required|a terminal is required/.test(words)) {
    return denied(
      `sudo on ${id} wants a password.`,
      'Give the callback sudo.password, or a NOPASSWD rule in its sudoers.',
    )
  }
  return /^sudo: /m.test(words) ? denied(`sudo on ${id} refused.`, 'Look at what sudo -l says there.') : undefined
}

function noShell(id: string, words: string, { exitCode }: Ending): VolumeExpansionError {
  const details = { layer: 'host', outcome: 'unchanged' } as const
  if (exitCode === 127 || exitCode === 126) {
    const name = /\benv\b/.test(words) && !/\/bin\/sh/.test(words) ? 'env' : '/bin/sh'
    return new VolumeExpansionError('tool-missing', `${name} cannot be run on ${id}.`, {
      ...details,
      remedy: 'It takes a POSIX shell and env there: install dash, bash or busybox, and coreutils.',
    })
  }
  return new VolumeExpansionError('permission-denied', `The user has no shell on ${id} that runs commands.`, {
    ...details,
    remedy: 'Give the user a login shell, and lift a ForceCommand for it.',
  })
}
