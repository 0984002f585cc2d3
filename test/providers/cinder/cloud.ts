import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A request as it arrived. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
  readonly version: string | undefined
  readonly body: unknown
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export const projectId = '0123456789abcdef0123456789abcdef'

/** The parts of Keystone and Cinder that the provider asks, as a test scripts them. */
export interface Cloud {
  readonly url: string
  readonly received: Received[]
  /** Seconds from now until a token ends. */
  life: number
  /** Answers for Cinder, in order; the last one stays. */
  cinder: (request: Received) => Reply
  /** Answers instead of Keystone's token. */
  keystone: ((request: Received) => Reply) | undefined
  maximum: string
}

export async function startCloud(): Promise<Cloud> {
  let tokens = 0
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const cloud: Cloud = {
    ...{ url, received: [], life: 3600, maximum: '3.70', keystone: undefined },
    cinder: () => ({ status: 404, body: { itemNotFound: { code: 404, message: 'Volume could not be found.' } } }),
  }
  const token = (): Reply => {
    tokens += 1
    const endpoint = { interface: 'public', region_id: 'RegionOne', url: `${url}/volume/v3/${projectId}` }
    return {
      status: 201,
      headers: { 'x-subject-token': `token-${tokens}` },
      body: {
        token: {
          expires_at: new Date(Date.now() + cloud.life * 1000).toISOString(),
          project: { id: projectId },
          catalog: [{ type: 'volumev3', endpoints: [endpoint] }],
        },
      },
    }
  }
  const replyTo = (received: Received): Reply => {
    if (received.path.startsWith('/identity/')) return cloud.keystone?.(received) ?? token()
    if (received.path === '/volume/v3/') {
      return { body: { versions: [{ id: 'v3.0', version: cloud.maximum, min_version: '3.0' }] } }
    }
    return cloud.cinder({ ...received, path: received.path.replace(`/volume/v3/${projectId}`, '') })
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { 'x-auth-token': sent, 'openstack-api-version': version } = request.headers
    const received: Received = {
      method: request.method ?? '',
      path: request.url ?? '',
      token: typeof sent === 'string' ? sent : undefined,
      version: typeof version === 'string' ? version : undefined,
      body: text === '' ? undefined : JSON.parse(text),
    }
    cloud.received.push(received)
    const { status = 200, headers = {}, body } = replyTo(received)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? '' : JSON.stringify(body))
  }
  return cloud
}

/** A volume as the API shows it. */
export function volume(id: string, fields: object = {}): object {
  return {
    ...{ id, size: 1, status: 'available', attachments: [], updated_at: '2026-11-23T10:00:00.000000' },
    'os-vol-tenant-attr:tenant_id': projectId,
    ...fields,
  }
}
