import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** The server's side of a WebSocket (RFC 6455), as far as an exec stream needs it: binary messages, pings, the end. */
export interface ServerSocket {
  send(message: Uint8Array): void
  close(): void
  /** Ends the connection without a word. */
  cut(): void
}

export interface SocketEvents {
  message(bytes: Buffer): void
  /** Once, however it came to an end. */
  gone(): void
}

const operations = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const unmaskedHeader = 2

/** Answers a request for an upgrade. @param answersPings false: as a gateway that swallows them */
export function acceptSocket(
  request: IncomingMessage,
  socket: Duplex,
  protocol: string,
  events: SocketEvents,
  answersPings = true,
): ServerSocket {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      `Sec-WebSocket-Protocol: ${protocol}`,
      '\r\n',
    ].join('\r\n'),
  )
  let [pending, parts]: [Buffer, Buffer[]] = [Buffer.alloc(0), []]
  const write = (operation: number, payload: Uint8Array): void => {
    if (socket.writable) socket.write(Buffer.concat([headerOf(operation, payload.length), payload]))
  }
  const take = (operation: number, final: boolean, payload: Buffer): void => {
    if (operation === operations.close) {
      write(operations.close, payload.subarray(0, unmaskedHeader))
      socket.end()
    } else if (operation === operations.ping) {
      if (answersPings) write(operations.pong, payload)
    } else if (operation <= operations.binary) {
      parts.push(payload)
      if (!final) return
      const message = Buffer.concat(parts)
      parts = []
      events.message(message)
    }
  }
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (let frame = readFrame(pending); frame !== undefined; frame = readFrame(pending)) {
      pending = pending.subarray(frame.length)
      take(frame.operation, frame.final, frame.payload)
    }
  })
  socket.on('error', () => undefined)
  socket.once('close', () => events.gone())
  return {
    send: (message) => write(operations.binary, message),
    close: () => {
      write(operations.close, Uint8Array.of(0x03, 0xe8))
      socket.end()
    },
    cut: () => socket.destroy(),
  }
}

function headerOf(operation: number, length: number): Buffer {
  if (length < 126) return Buffer.of(0x80 | operation, length)
  const header = Buffer.alloc(length < 65_536 ? 4 : 10)
  header[0] = 0x80 | operation
  if (length < 65_536) {
    header[1] = 126
    header.writeUInt16BE(length, 2)
  } else {
    header[1] = 127
    header.writeBigUInt64BE(BigInt(length), 2)
  }
  return header
}

/** The first whole frame; every frame of a client is masked. */
function readFrame(
  bytes: Buffer,
):
  | { readonly operation: number; readonly final: boolean; readonly payload: Buffer; readonly length: number }
  | undefined {
  if (bytes.length < 6) return undefined
  const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)]
  const short = second & 0x7f
  const start = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < start + 4) return undefined
  const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  const length = start + 4 + size
  if (bytes.length < length) return undefined
  const mask = bytes.subarray(start, start + 4)
  const payload = Buffer.from(bytes.subarray(start + 4, length))
  for (let index = 0; index < size; index += 1) payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
  return { operation: first & 0x0f, final: (first & 0x80) !== 0, payload, length }
}
