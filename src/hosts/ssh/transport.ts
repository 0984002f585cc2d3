import type { RemoteChannel, RemoteTransport } from '../remote/host.ts'
import { bootCommand } from '../remote/request.ts'
import { Slots } from '../remote/slots.ts'
import type { SshChannel } from './client.ts'
import { type Live, SshConnection } from './connection.ts'
import { connectionError, silentError } from './errors.ts'
import type { Endpoint } from './options.ts'

// OpenSSH allows 10 sessions on a connection (MaxSessions); others may use some of them.
const mostSessions = 8

/** Runs the boot command over one SSH connection, several at a time. A session that rests does not hold the connection. */
export function sshTransport(endpoint: Endpoint): RemoteTransport {
  const connection = new SshConnection(endpoint)
  const slots = new Slots(mostSessions)
  return {
    keeps: mostSessions,
    async open(signal) {
      await slots.enter()
      connection.hold()
      let [left, rests] = [false, false]
      const done = (): void => {
        if (left) return
        left = true
        if (!rests) connection.release()
        slots.leave()
      }
      const rest = (): void => {
        if (left || rests) return
        rests = true
        connection.release()
      }
      const wake = (): void => {
        if (left || !rests) return
        rests = false
        connection.hold()
      }
      try {
        signal?.throwIfAborted()
        const channel = await session(connection)
        channel.ended.then(done, done)
        return { ...channel, rest, wake }
      } catch (error) {
        done()
        throw error
      }
    },
    close: () => connection.close(),
  }
}

/** A session, on a new connection when the old one turns out to be gone: nothing was sent by then. */
async function session(connection: SshConnection): Promise<RemoteChannel> {
  for (let tries = 1; ; tries += 1) {
    const live = await connection.live()
    try {
      return await start(live, connection.endpoint)
    } catch (error) {
      const failure = error instanceof Error ? error : silentError()
      if (live.lost === undefined || tries > 1) throw connectionError(connection.endpoint, failure)
    }
  }
}

function start(live: Live, { connectTimeout }: Endpoint): Promise<RemoteChannel> {
  return new Promise((resolve, reject) => {
    const late = (): void => {
      live.lost ??= silentError()
      live.client.destroy()
      reject(live.lost)
    }
    const timer = setTimeout(late, connectTimeout)
    const settle = (error: Error | undefined, channel: SshChannel): void => {
      clearTimeout(timer)
      // How it ended may be in the very packet that says that it began: it is listened for at once.
      if (error === undefined || error === null) resolve(remoteChannel(live, channel))
      else reject(error)
    }
    try {
      live.client.exec(bootCommand, settle)
    } catch (error) {
      // ssh2 throws where the socket is gone already.
      clearTimeout(timer)
      live.lost ??= error instanceof Error ? error : silentError()
      reject(live.lost)
    }
  })
}

function remoteChannel(live: Live, channel: SshChannel): RemoteChannel {
  let ending: { readonly exitCode?: number; readonly signal?: string } | undefined
  channel.on('exit', (code: number | null, signal?: string) => {
    ending = { ...(code === null ? {} : { exitCode: code }), ...(signal === undefined ? {} : { signal }) }
  })
  channel.on('error', () => undefined)
  const ended = new Promise<{ readonly exitCode?: number; readonly signal?: string }>((resolve, reject) => {
    channel.on('close', () => {
      if (ending !== undefined) resolve(ending)
      else reject(live.lost ?? new Error('the session ended without an exit status'))
    })
  })
  ended.catch(() => undefined)
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    ended,
    isLost: () => live.lost !== undefined,
    close: () => {
      channel.end()
      channel.close()
    },
  }
}
