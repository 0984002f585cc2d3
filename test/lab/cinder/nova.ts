import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What Cinder tells Nova after it has grown a volume in use (os-server-external-events). */
export interface VolumeExtended {
  readonly name: string
  readonly server_uuid: string
  /** The volume's id. */
  readonly tag: string
}

export interface NovaOptions {
  /** Does what Nova does: has the guest see the new size. When it fails, so does the answer to Cinder. */
  readonly onVolumeExtended?: (event: VolumeExtended) => void | Promise<void>
}

/** The part of Nova that Cinder speaks to. Set {@link status} or {@link onVolumeExtended} to have it answer otherwise, and {@link absent} to have it gone. */
export class NovaReceiver {
  readonly events: VolumeExtended[] = []
  /** Set to anything but 200: events are answered with it, and nothing else happens. */
  status = 200
  /** Set to true: connections are cut without an answer, as where no Nova is. */
  absent = false
  onVolumeExtended: NovaOptions['onVolumeExtended']
  readonly #server: Server

  private constructor(options: NovaOptions) {
    this.onVolumeExtended = options.onVolumeExtended
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  static async start(port: number, options: NovaOptions = {}): Promise<NovaReceiver> {
    const nova = new NovaReceiver(options)
    await new Promise<void>((resolve, reject) => {
      nova.#server.once('error', reject).listen(port, '127.0.0.1', resolve)
    })
    nova.#server.unref()
    return nova
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v2.1`
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.absent) {
      request.socket.destroy()
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (request.method !== 'POST') {
      const links = [{ rel: 'self', href: `${this.url}/` }]
      answer(response, 200, { version: { id: 'v2.1', status: 'CURRENT', version: '2.95', min_version: '2.1', links } })
      return
    }
    const { events }: { events: VolumeExtended[] } = JSON.parse(Buffer.concat(chunks).toString())
    this.events.push(...events)
    if (this.status !== 200) {
      answer(response, this.status, { computeFault: { code: this.status, message: 'The lab asked for a failure.' } })
      return
    }
    for (const event of events) await this.onVolumeExtended?.(event)
    answer(response, 200, { events: events.map((event) => ({ ...event, code: 200, status: 'completed' })) })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'openstack-api-version': 'compute 2.51' })
  response.end(JSON.stringify(body))
}
