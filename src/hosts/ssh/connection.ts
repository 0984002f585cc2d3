import { readFile } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { authentication } from './authentication.ts'
import { loadSsh, type SshClient } from './client.ts'
import { connectionError, hostKeyError, silentError } from './errors.ts'
import {
  fingerprintOf,
  judgeKey,
  type KnownKey,
  knownName,
  parseKnownHosts,
  preferredAlgorithms,
  typeOfKey,
} from './known-hosts.ts'
import { type Endpoint, endpointOf } from './options.ts'

/** A connection that is there. */
export interface Live {
  readonly client: SshClient
  /** Set once it is gone. */
  lost: Error | undefined
}

const mostSilent = 3
/** One connection may have been lost long ago; a server that drops every new one is not reached. */
const mostTries = 3

/** One connection to a server, made when it is needed, shared by all who need it, and made anew after it was lost. */
export class SshConnection {
  readonly endpoint: Endpoint
  readonly #jump: SshConnection | undefined
  /** Keys of servers that were accepted as new ones: from then on they are known. */
  readonly #accepted: KnownKey[] = []
  #live: Promise<Live> | undefined
  #socket: Socket | undefined
  #users = 0
  #idle: NodeJS.Timeout | undefined
  #pulse: NodeJS.Timeout | undefined

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
    const { jump } = endpoint.given
    this.#jump = jump === undefined ? undefined : new SshConnection(endpointOf(jump))
  }

  /**
   * The connection, made anew when it is gone.
   * @throws {VolumeExpansionError} `host-unreachable`, `authentication-failed`, `identity-mismatch`; nothing was begun
   */
  async live(): Promise<Live> {
    for (let tries = 1; ; tries += 1) {
      this.#live ??= this.#connect()
      const attempt = this.#live
      const live = await attempt.catch((error: unknown) => {
        if (this.#live === attempt) this.#live = undefined
        throw error
      })
      if (live.lost === undefined) return live
      if (this.#live === attempt) this.#live = undefined
      if (tries === mostTries) throw connectionError(this.endpoint, live.lost)
    }
  }

  /** Keeps the process alive, and asks the server whether it is there, until {@link release}. */
  hold(): void {
    this.#jump?.hold()
    this.#users += 1
    if (this.#users > 1) return
    clearTimeout(this.#idle)
    this.#socket?.ref()
    this.#watch()
  }

  release(): void {
    this.#jump?.release()
    this.#users -= 1
    if (this.#users > 0) return
    clearInterval(this.#pulse)
    this.#socket?.unref()
    this.#idle = setTimeout(() => void this.close(), this.endpoint.idleTimeout)
    this.#idle.unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle)
    const attempt = this.#live
    this.#live = undefined
    const live = await attempt?.catch(() => undefined)
    if (live !== undefined && live.lost === undefined) {
      live.lost = new Error('it was closed')
      live.client.end()
    }
    await this.#jump?.close()
  }

  async #connect(): Promise<Live> {
    const [ssh, keys] = await Promise.all([loadSsh(), this.#knownKeys()])
    const { endpoint } = this
    const { host, port, username, connectTimeout } = endpoint
    const name = knownName(host, port)
    const sock = this.#jump === undefined ? await this.#dial() : await this.#jump.#tunnel(host, port)
    const client = new ssh.Client()
    const live: Live = { client, lost: undefined }
    return new Promise((resolve, reject) => {
      let reason: unknown
      const lose = (error: Error): void => {
        live.lost ??= error
        sock.destroy()
        reject(reason ?? connectionError(endpoint, error))
      }
      client.on('ready', () => resolve(live))
      // A missing agent is no failure: other methods follow.
      client.on('error', (error) => (error.level === 'agent' ? undefined : lose(error)))
      client.on('close', () => lose(new Error('the server closed the connection')))
      client.connect({
        ...{ sock, username, readyTimeout: connectTimeout },
        algorithms: { serverHostKey: preferredAlgorithms(keys, name) },
        hostVerifier: (blob: Uint8Array) => {
          reason = this.#refusal(keys, name, blob)
          return reason === undefined
        },
        authHandler: authentication(ssh, endpoint, (error) => {
          reason ??= error
        }),
      })
    })
  }

  async #knownKeys(): Promise<readonly KnownKey[]> {
    const { files = [join(homedir(), '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'] } =
      this.endpoint.given.knownHosts ?? {}
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
    return [...texts.flatMap(parseKnownHosts), ...this.#accepted]
  }

  /** Why the key that the server shows is not accepted; undefined when it is. */
  #refusal(keys: readonly KnownKey[], name: string, blob: Uint8Array): Error | undefined {
    const accept = this.endpoint.given.knownHosts?.accept
    const judgement = judgeKey(keys, name, blob)
    const fingerprint = fingerprintOf(blob)
    if (judgement === 'known') return undefined
    if (judgement !== 'revoked' && Array.isArray(accept)) {
      if (accept.some((one: string) => one.replace(/=$/, '') === fingerprint)) return undefined
    }
    if (judgement === 'unknown' && accept === 'new') {
      this.#accepted.push({ marker: undefined, patterns: [name], type: typeOfKey(blob) ?? '', blob: Buffer.from(blob) })
      return undefined
    }
    return hostKeyError(this.endpoint, judgement, fingerprint)
  }

  #dial(): Promise<Socket> {
    const { host, port, connectTimeout } = this.endpoint
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ host, port, noDelay: true, keepAlive: true })
      const timer = setTimeout(() => socket.destroy(silentError()), connectTimeout)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.off('error', fail)
        this.#socket = socket
        if (this.#users === 0) socket.unref()
        resolve(socket)
      })
      const fail = (error: Error): void => {
        clearTimeout(timer)
        reject(connectionError(this.endpoint, error))
      }
      socket.once('error', fail)
    })
  }

  /** A stream to another server, as this one sees it. */
  async #tunnel(host: string, port: number): Promise<Duplex> {
    const { client } = await this.live()
    return new Promise((resolve, reject) => {
      client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
        if (error === undefined || error === null) resolve(channel)
        else reject(connectionError(this.endpoint, error, `${host}:${port}`))
      })
    })
  }

  /** A server that has vanished without a word is noticed by what it does not answer. */
  #watch(): void {
    let silent = 0
    const ask = async (): Promise<void> => {
      const live = await this.#live?.catch(() => undefined)
      if (live === undefined || live.lost !== undefined) {
        silent = 0
        return
      }
      silent += 1
      if (silent > mostSilent) {
        live.lost = silentError()
        live.client.destroy()
        return
      }
      try {
        // A request that every server answers: it forwards nothing that could be taken back.
        live.client.unforwardIn('127.0.0.1', 1, () => {
          silent = 0
        })
      } catch (error) {
        live.lost ??= error instanceof Error ? error : silentError()
      }
    }
    this.#pulse = setInterval(() => void ask(), this.endpoint.keepAlive)
    this.#pulse.unref()
  }
}
