import { PassThrough, Writable } from 'node:stream'
import type { Ending, RemoteChannel } from '../remote/host.ts'
import type { Cluster, HttpAnswer, WebSocketHandler, WebSocketLike } from './client.ts'
import { bare, messageOf, type Question, type Refused, refusedError, silentError, unreachableError } from './errors.ts'
import type { KubernetesConfig } from './options.ts'
import { endingOf } from './status.ts'

// The channels of `v4.channel.k8s.io`; `v5.channel.k8s.io` adds the last one, by which one direction of one of them is ended.
const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const
/** Pieces of the size that kubectl sends, too: some servers refuse messages that are much longer. */
const longestMessage = 16 * 1024
const mostSilent = 3
/** Milliseconds for the other side to agree to the end of a connection. */
const patienceAtTheEnd = 2_000
const open = 1

export interface StreamOptions {
  /** The host, for messages. */
  readonly id: string
  readonly connectTimeout: number
  readonly keepAlive: number
  readonly signal: AbortSignal | undefined
}

/**
 * Opens a stream to a command in a container.
 *
 * @param path of the subresource `exec`, with its query
 * @throws {VolumeExpansionError} `host-unreachable`, `authentication-failed`, `permission-denied`, `not-found`; nothing was begun
 */
export async function openStream(
  cluster: Cluster,
  path: string,
  question: Question,
  options: StreamOptions,
): Promise<RemoteChannel & { readonly closed: Promise<void> }> {
  const { id, connectTimeout, signal } = options
  const output = new Output(id)
  const upgrade = new Upgrade(cluster.config, connectTimeout)
  const handler = withoutOurStreams(new cluster.module.Exec(upgrade).handler)
  const abort = (): void => upgrade.giveUp(bare('aborted'))
  signal?.addEventListener('abort', abort, { once: true })
  const timer = setTimeout(() => upgrade.giveUp(silentError()), connectTimeout)
  try {
    const connected = handler.connect(
      path,
      () => true,
      (channel, bytes) => output.take(channel, bytes),
    )
    // Resolves late when the server answers after all.
    connected.then((socket) => upgrade.over && socket.terminate()).catch(() => undefined)
    const socket = await Promise.race([connected, upgrade.failed])
    return channelOf(socket, output, options.keepAlive)
  } catch (error) {
    signal?.throwIfAborted()
    const { refused } = upgrade
    throw refused === undefined ? unreachableError(id, error) : refusedError(id, question, refused)
  } finally {
    upgrade.over = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** What happens while the connection is being upgraded: how long it may take, and what a server that refuses says. */
class Upgrade implements KubernetesConfig {
  /** Rejects when it will not succeed. */
  readonly failed: Promise<never>
  refused: Refused | undefined
  over = false
  readonly #config: KubernetesConfig
  readonly #timeout: number
  #fail: (error: Error) => void = () => undefined
  #socket: WebSocketLike | undefined

  constructor(config: KubernetesConfig, timeout: number) {
    this.#config = config
    this.#timeout = timeout
    this.failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failed.catch(() => undefined)
  }

  getCurrentCluster(): { readonly name: string; readonly server: string } | null {
    return this.#config.getCurrentCluster()
  }

  async applyToHTTPSOptions(options: object): Promise<void> {
    await this.#config.applyToHTTPSOptions(options)
    Object.assign(options, {
      ...{ handshakeTimeout: this.#timeout, perMessageDeflate: false },
      // The only way to the answer of a server that does not upgrade: it says which of many reasons it has.
      finishRequest: (request: { end(): void }, socket: WebSocketLike) => {
        this.#socket = socket
        socket.once('unexpected-response', (_request, response) => void this.#note(response))
        request.end()
      },
    })
  }

  giveUp(error: Error): void {
    this.over = true
    this.#fail(error)
    this.#socket?.terminate()
  }

  async #note(response: HttpAnswer): Promise<void> {
    const status = response.statusCode ?? 0
    this.refused = { status, message: '' }
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of response) {
        chunks.push(chunk)
        if (chunks.length > 16) break
      }
    } catch {
      // The status alone says enough.
    }
    this.refused = { status, message: messageOf(Buffer.concat(chunks).toString('utf8')) }
    this.giveUp(new Error('it was refused'))
  }
}

/** The handler would end the streams of this process when the server closes a channel. */
function withoutOurStreams(handler: WebSocketHandler): WebSocketHandler {
  const nobody = { pause: () => undefined, end: () => undefined }
  return Object.assign(handler, { streams: { stdin: nobody, stdout: nobody, stderr: nobody } })
}

/** What comes over a stream. */
class Output {
  readonly stdout: PassThrough = new PassThrough()
  readonly stderr: PassThrough = new PassThrough()
  /** Settles when the command has ended and all of its output was taken, or the stream was lost. */
  readonly ended: Promise<Ending>
  /** Whether anything has come. */
  alive = false
  readonly #id: string
  #resolve: (ending: Ending) => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(id: string) {
    this.#id = id
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.ended.catch(() => undefined)
  }

  /** A message. Returns whether there may be more. */
  take(channel: number, bytes: Uint8Array): boolean {
    this.alive = true
    // Every channel begins with an empty message.
    if (bytes.length === 0) return true
    if (channel === channels.stdout) this.stdout.write(bytes)
    if (channel === channels.stderr) this.stderr.write(bytes)
    if (channel !== channels.status) return true
    const ending = endingOf(this.#id, Buffer.from(bytes).toString('utf8'))
    if (ending instanceof Error) this.#reject(ending)
    else this.#settleAfterOutput(ending)
    return false
  }

  lose(error: Error): void {
    // After the status this changes nothing any more.
    if (!this.stdout.writableEnded) this.#reject(error)
    this.stdout.end()
    this.stderr.end()
  }

  #settleAfterOutput(ending: Ending): void {
    this.stdout.once('end', () => this.#resolve(ending))
    this.stdout.end()
    this.stderr.end()
  }
}

function channelOf(
  socket: WebSocketLike,
  output: Output,
  keepAlive: number,
): RemoteChannel & { readonly closed: Promise<void> } {
  const watch = watchOver(socket, output, keepAlive)
  socket.on('error', (error) => output.lose(bare(error)))
  const closed = new Promise<void>((resolve) => {
    socket.on('close', (code, reason) => {
      clearInterval(watch)
      output.lose(
        new Error(`the stream ended without a status (${code}) ${Buffer.from(reason).toString('utf8')}`.trim()),
      )
      resolve()
    })
  })
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    // Only this version can end the input and keep the rest. By then nobody waits for the rest: a server that does not know it sees its client go, which ends the
    // input, too.
    if (socket.protocol === 'v5.channel.k8s.io' && socket.readyState === open) {
      socket.send(Uint8Array.of(channels.close, channels.stdin), () => undefined)
    }
    socket.close()
    const timer = setTimeout(() => socket.terminate(), patienceAtTheEnd)
    void closed.then(() => clearTimeout(timer))
  }
  const stdin = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      send(socket, chunk).then(() => done(), done)
    },
    final(done) {
      end()
      done()
    },
  })
  stdin.on('error', () => undefined)
  return { stdin, stdout: output.stdout, stderr: output.stderr, ended: output.ended, closed, close: end }
}

async function send(socket: WebSocketLike, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.length; start += longestMessage) {
    const piece = bytes.subarray(start, start + longestMessage)
    const message = Buffer.concat([Uint8Array.of(channels.stdin), piece])
    await new Promise<void>((resolve, reject) => {
      socket.send(message, (error) => (error === undefined || error === null ? resolve() : reject(error)))
    })
  }
}

/** A server that has vanished without a word is noticed by what it does not answer; one that answers no pings is believed to be there as long as it has said anything. */
function watchOver(socket: WebSocketLike, output: Output, keepAlive: number): NodeJS.Timeout {
  let [silent, answers] = [0, false]
  socket.on('pong', () => {
    silent = 0
    answers = true
  })
  const ask = (): void => {
    if (socket.readyState !== open) return
    silent += 1
    if (silent > mostSilent && (answers || !output.alive)) {
      output.lose(silentError())
      socket.terminate()
      return
    }
    socket.ping()
  }
  ask()
  return setInterval(ask, keepAlive).unref()
}
