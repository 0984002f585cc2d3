import { createConnection, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** The emulator refused a command; its words are the message. */
export class QmpError extends Error {
  override readonly name = 'QmpError'
  /** QMP's own class, such as `GenericError` or `DeviceNotFound`. */
  readonly kind: string

  constructor(kind: string, message: string) {
    super(message)
    this.kind = kind
  }
}

interface Message {
  readonly QMP?: unknown
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
}

/**
 * One command to a running emulator by the QEMU Machine Protocol. Its socket serves one connection at a time, so that each command has one of its own, and
 * several programs can share the machine.
 */
export async function qmp(path: string, execute: string, args: object = {}): Promise<unknown> {
  const socket = await connected(path)
  try {
    const answers = answersFrom(socket)
    await answers.next()
    await ask(socket, answers, 'qmp_capabilities', {})
    return await ask(socket, answers, execute, args)
  } finally {
    socket.destroy()
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

async function* answersFrom(socket: Socket): AsyncGenerator<Message, undefined, undefined> {
  for await (const line of createInterface({ input: socket })) {
    const message: Message = JSON.parse(line)
    // Events come between the answers, and are nothing that anybody here waits for.
    if ('QMP' in message || 'return' in message || 'error' in message) yield message
  }
  return undefined
}

async function ask(
  socket: Socket,
  answers: AsyncGenerator<Message, undefined, undefined>,
  execute: string,
  args: object,
): Promise<unknown> {
  socket.write(`${JSON.stringify({ execute, arguments: args })}\n`)
  const { value } = await answers.next()
  if (value === undefined) throw new Error(`The emulator ended before it answered ${execute}.`)
  if (value.error !== undefined) throw new QmpError(value.error.class, `${execute}: ${value.error.desc}`)
  return value.return
}
