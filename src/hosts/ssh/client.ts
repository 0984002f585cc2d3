import type { Duplex, Readable } from 'node:stream'
import { VolumeExpansionError } from '../../errors.ts'

/** What is used of the package ssh2, in own words: it is an optional peer, and no declaration may name it. */
export interface SshModule {
  readonly Client: new () => SshClient
  readonly utils: {
    parseKey(data: string | Uint8Array, passphrase?: string): ParsedKey | readonly ParsedKey[] | Error
  }
}

/** Opaque: passed back as it was parsed. */
export interface ParsedKey {
  readonly type: string
  isPrivateKey(): boolean
}

export interface SshClient {
  on(event: 'ready' | 'close' | 'end', listener: () => void): this
  on(event: 'error', listener: (error: SshError) => void): this
  connect(config: Readonly<Record<string, unknown>>): this
  exec(command: string, callback: (error: Error | undefined, channel: SshChannel) => void): this
  forwardOut(
    ...parameters: [
      sourceHost: string,
      sourcePort: number,
      host: string,
      port: number,
      callback: (error: Error | undefined, channel: Duplex) => void,
    ]
  ): this
  unforwardIn(host: string, port: number, callback: (error?: Error) => void): this
  end(): this
  destroy(): this
}

export interface SshError extends Error {
  readonly level?: string
  readonly code?: string
}

/** Emits `exit` with a code or null, and the name of a signal, before it emits `close`. */
export interface SshChannel extends Duplex {
  readonly stderr: Readable
  close(): void
}

let loading: Promise<SshModule> | undefined

/** @throws {VolumeExpansionError} `invalid-request` when the package is not installed */
export function loadSsh(): Promise<SshModule> {
  loading ??= load()
  return loading
}

async function load(): Promise<SshModule> {
  try {
    const { default: module } = (await import('ssh2')) as unknown as { readonly default: SshModule }
    return module
  } catch (cause) {
    loading = undefined
    throw new VolumeExpansionError('invalid-request', 'sshHost() needs the package ssh2, which is not installed.', {
      ...{ layer: 'host', outcome: 'unchanged', cause },
      remedy: 'Install it beside this library: npm install ssh2',
    })
  }
}
