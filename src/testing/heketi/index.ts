import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type HeketiEmulatorOptions, type HeketiService, heketiService } from './service.ts'

export type { EmulatedHeketiVolume, HeketiEmulatorOptions, HeketiMutation } from './service.ts'

export interface HeketiEmulator extends Omit<HeketiService, 'answer'> {
  /** `http://127.0.0.1:…`. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Heketi's REST API for volumes that exist, on a free port of 127.0.0.1: tokens, the asynchronous queue that gives each answer once, and its faults: of two growths of one
 * volume at a time, one is lost. It follows Heketi 10 (server/rest/asynchttp.go, middleware/jwt.go, apps/glusterfs).
 */
export async function heketiEmulator(options: HeketiEmulatorOptions): Promise<HeketiEmulator> {
  const { answer, ...controls } = heketiService(options)
  const server = createServer((request, response) => {
    const serve = async (): Promise<void> => {
      const { method = '', url = '/', headers } = request
      const given = answer({ method, path: url, authorization: headers.authorization, body: await textOf(request) })
      if (given === undefined) request.socket.destroy()
      else response.writeHead(given.status, given.headers).end(given.text)
    }
    serve().catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    ...controls,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk
  return text
}
