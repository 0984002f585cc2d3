import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientChannel } from 'ssh2'

/** Milliseconds. */
const greetingTime = 2000

/** How a guest's SSH server is reached. */
export interface GuestAddress {
  readonly host: string
  readonly port: number
  /** File of the private key that opens every account. */
  readonly identity: string
  /** File with the guest's public key. */
  readonly hostKey: string
  /** The same as a file of known hosts. */
  readonly knownHosts: string
}

export interface GuestResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A program that was started in a guest. */
export interface GuestProgram {
  readonly channel: ClientChannel
  /** Rejects when the connection was lost before it had ended. */
  readonly ended: Promise<GuestEnd>
}

export interface GuestEnd {
  /** -1 when a signal ended it. */
  readonly code: number
  readonly signal?: string | undefined
}

/** A connection by which the lab and its tests do things in a guest; apart from any connection that the library makes. */
export class GuestShell {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async connect({ host, port, identity, hostKey }: GuestAddress, username = 'root'): Promise<GuestShell> {
    const [privateKey, expected] = await Promise.all([readFile(identity), readFile(hostKey, 'utf8')])
    const client = new Client()
    // A guest that is switched off takes its connections with it, and says so more than once.
    client.on('error', () => {})
    client.connect({
      ...{ host, port, username, privateKey, readyTimeout: 20_000 },
      hostVerifier: (key: Buffer) => key.toString('base64') === expected.split(' ')[1],
    })
    try {
      await once(client, 'ready')
    } catch (error) {
      client.destroy()
      throw error
    }
    return new GuestShell(client)
  }

  /** Runs a program to its end, whatever its exit code. */
  async attempt(argv: readonly string[], stdin?: string): Promise<GuestResult> {
    const { channel, ended } = await this.start(argv)
    channel.end(stdin ?? '')
    const [stdout, stderr, { code }] = await Promise.all([textOf(channel), textOf(channel.stderr), ended])
    return { code, stdout: stdout.trim(), stderr: stderr.trim() }
  }

  /** Runs a program that has to succeed; what it said on its standard output. */
  async run(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(argv)
    if (code !== 0) throw new Error(`In the guest, ${argv.join(' ')} ended with ${code}: ${stderr || stdout}`)
    return stdout
  }

  /** Writes a small file, such as a setting of the kernel, in one write. */
  async write(path: string, content: string): Promise<void> {
    const { code, stderr } = await this.attempt(['dd', `of=${path}`, 'bs=64K', 'status=none', 'conv=notrunc'], content)
    if (code !== 0) throw new Error(`In the guest, ${path} could not be written: ${stderr}`)
  }

  /** Starts a program, and leaves its streams to the caller. */
  start(argv: readonly string[]): Promise<GuestProgram> {
    return this.command(argv.map(quoted).join(' '))
  }

  /** Starts what the login shell makes of a line. */
  command(line: string): Promise<GuestProgram> {
    return new Promise((resolve, reject) => {
      this.#client.exec(line, (error, channel) => {
        // How it ended may be in the very packet that says that it began: it is listened for at once.
        if (error === undefined) resolve({ channel, ended: endOf(channel) })
        else reject(error)
      })
    })
  }

  end(): void {
    this.#client.destroy()
  }
}

/** Connects to a guest that is on its way up. */
export async function awaitShell(
  address: GuestAddress,
  { seconds, isRunning }: { readonly seconds: number; readonly isRunning: () => boolean | Promise<boolean> },
): Promise<GuestShell> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    try {
      if (await greets(address)) return await GuestShell.connect(address)
      throw new Error('Nobody answers there.')
    } catch (error) {
      if (!(await isRunning())) throw new Error('The guest ended before it could be reached.')
      if (performance.now() > end)
        throw new Error(`The guest could not be reached within ${seconds} s.`, { cause: error })
      await sleep(100)
    }
  }
}

/** Whether a server answers: the emulator accepts connections for a guest that is not there yet, and then says nothing. */
function greets({ host, port }: GuestAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port })
    const finish = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(greetingTime, () => finish(false))
    socket.once('data', () => finish(true))
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
  })
}

function endOf(channel: ClientChannel): Promise<GuestEnd> {
  let end: GuestEnd | undefined
  channel.on('exit', (code: number | null, signal?: string) => {
    end = { code: code ?? -1, signal }
  })
  const ended = new Promise<GuestEnd>((resolve, reject) => {
    channel.once('close', () => {
      if (end === undefined) reject(new Error('The connection to the guest was lost.'))
      else resolve(end)
    })
  })
  ended.catch(() => undefined)
  return ended
}

async function textOf(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
