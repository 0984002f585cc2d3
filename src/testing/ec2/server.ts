import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Ec2Emulator, type Ec2Options, ec2Emulator } from './emulator.ts'

/** An EC2 that listens. */
export interface Ec2Server extends Ec2Emulator {
  /** What the SDK takes as its `endpoint`. */
  readonly url: string
  stop(): Promise<void>
}

export interface Ec2ServerOptions extends Ec2Options {
  /** Left out, or 0: a free one of 127.0.0.1. */
  readonly port?: number
}

/** Starts an EC2 on 127.0.0.1. @param options its clock has to be one that goes on by itself, as the system's does */
export async function startEc2(options: Ec2ServerOptions = {}): Promise<Ec2Server> {
  const emulator = ec2Emulator(options)
  const server = createServer((request, response) => {
    const serve = async (): Promise<void> => {
      const answer = await emulator.handle({ headers: request.headers, body: await bodyOf(request) })
      if (answer === undefined) request.socket.destroy()
      else response.writeHead(answer.status, answer.headers).end(answer.body)
    }
    serve().catch(() => request.socket.destroy())
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...emulator,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
