import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP connection through this process, as slow and as unreliable as a test needs it. */
export interface Link {
  readonly port: number
  /** Connections that were made through it. */
  readonly connections: number
  /** Bytes from the client. */
  readonly sent: number
  /** Bytes towards the client. */
  readonly received: number
  /** Ends all connections without a word to either side. */
  cut(): void
  /** Passes nothing on any more, and keeps the connections open. */
  freeze(): void
  close(): Promise<void>
}

/** Listens on 127.0.0.1 and passes everything on to `port` there. @param latency milliseconds added to each direction */
export async function startLink(port: number, latency = 0): Promise<Link> {
  const sockets = new Set<Socket>()
  let [connections, sent, received, frozen] = [0, 0, 0, false]
  const pass = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    from.on('data', (chunk: Uint8Array) => {
      if (frozen) return
      count(chunk.length)
      // Timers of one duration fire in the order in which they were made: the bytes stay in order.
      setTimeout(() => to.writable && to.write(chunk), latency)
    })
    from.on('close', () => setTimeout(() => to.destroy(), latency))
    from.on('error', () => undefined)
  }
  const server: Server = createServer({ noDelay: true }, (client) => {
    connections += 1
    const upstream = connect({ host: '127.0.0.1', port, noDelay: true })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
    pass(client, upstream, (bytes) => {
      sent += bytes
    })
    pass(upstream, client, (bytes) => {
      received += bytes
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address !== 'object') throw new Error('A listening server has no address.')
  return {
    port: address.port,
    get connections() {
      return connections
    },
    get sent() {
      return sent
    },
    get received() {
      return received
    },
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    freeze: () => {
      frozen = true
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
