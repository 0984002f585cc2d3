import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { httpClient, retryAfterOf } from '../../src/services/http.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(listener: RequestListener): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server }
}

const client = httpClient({ provider: 'test', timeout: 2000 })
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('send', () => {
  test('sends JSON and gives the answer of any status, redirects included', async () => {
    const { url } = await serve((request, response) => {
      let body = ''
      request.on('data', (chunk: Uint8Array) => {
        body += Buffer.from(chunk).toString()
      })
      request.on('end', () => {
        response.writeHead(303, { location: '/there', 'content-type': 'application/json' })
        response.end(JSON.stringify({ method: request.method, type: request.headers['content-type'], body }))
      })
    })
    const answer = await client.send({ method: 'POST', url, body: { a: 'ü' } })
    expect(answer.status).toBe(303)
    expect(answer.headers.location).toBe('/there')
    expect(answer.json()).toEqual({ method: 'POST', type: 'application/json', body: '{"a":"ü"}' })
  })

  test('an empty body is undefined, and one that is not JSON is a failure of the way there', async () => {
    const { url } = await serve((request, response) => {
      response.end(request.url === '/empty' ? '' : '<html>')
    })
    expect((await client.send({ method: 'GET', url: `${url}empty` })).json()).toBeUndefined()
    const read = await client.send({ method: 'GET', url })
    expect(() => read.json()).toThrow(expect.objectContaining({ code: 'backend-unreachable', outcome: 'unchanged' }))
    const written = await client.send({ method: 'PUT', url })
    expect(() => written.json()).toThrow(expect.objectContaining({ outcome: 'unknown', retryable: true }))
  })

  test('what never reached the server has changed nothing', async () => {
    const { url, server } = await serve((_request, response) => response.end())
    await new Promise((resolve) => server.close(resolve))
    expect(await failure(client.send({ method: 'POST', url }))).toMatchObject({
      ...{ code: 'backend-unreachable', outcome: 'unchanged', retryable: true, provider: 'test' },
    })
  })

  test.each([
    ['GET', undefined, 'unchanged'],
    ['POST', undefined, 'unknown'],
    ['POST', true, 'unchanged'],
  ] as const)('%s (read-only: %s) whose connection is reset leaves %s', async (method, readOnly, outcome) => {
    const { url } = await serve((request) => request.socket.resetAndDestroy())
    const request = { method, url, ...(readOnly === undefined ? {} : { readOnly }) }
    expect(await failure(client.send(request))).toMatchObject({ code: 'backend-unreachable', outcome })
  })

  test('an answer that is cut off is no answer', async () => {
    const { url } = await serve((request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"size":')
      setTimeout(() => request.socket.destroy(), 20)
    })
    expect(await failure(client.send({ method: 'PUT', url }))).toMatchObject({
      ...{ code: 'backend-unreachable', outcome: 'unknown' },
    })
  })

  test('a server that does not answer, or not to the end, is given up', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/slow') response.writeHead(200).write('{')
    })
    for (const path of ['silent', 'slow']) {
      expect(await failure(client.send({ method: 'POST', url: `${url}${path}`, timeout: 50 }))).toMatchObject({
        ...{ code: 'timeout', outcome: 'unknown', retryable: true },
      })
    }
  })

  test('an abort ends the request, and one before it sends nothing', async () => {
    let requests = 0
    const { url } = await serve(() => {
      requests += 1
      controller.abort('enough')
    })
    const controller = new AbortController()
    const { signal } = controller
    expect(await failure(client.send({ method: 'POST', url, signal }))).toMatchObject({
      ...{ code: 'aborted', outcome: 'unknown', cause: 'enough' },
    })
    expect(await failure(client.send({ method: 'POST', url, signal }))).toMatchObject({
      ...{ code: 'aborted', outcome: 'unchanged' },
    })
    expect(requests).toBe(1)
  })

  test('a kept connection that the server has closed costs a read nothing', async () => {
    const sockets: Socket[] = []
    const { url } = await serve((request, response) => {
      sockets.push(request.socket)
      // The second request on a connection meets a server that has just given it up.
      if (sockets.filter((socket) => socket === request.socket).length > 1) request.socket.resetAndDestroy()
      else response.end('1')
    })
    expect((await client.send({ method: 'GET', url })).json()).toBe(1)
    expect((await client.send({ method: 'GET', url })).json()).toBe(1)
    expect(new Set(sockets).size).toBe(2)
  })

  test('nothing of the query or of credentials in the address is told', async () => {
    const { url, server } = await serve((_request, response) => response.end())
    await new Promise((resolve) => server.close(resolve))
    const secret = url.replace('http://', 'http://user:canary@')
    const error = await failure(client.send({ method: 'GET', url: `${secret}?token=canary` }))
    expect(JSON.stringify(error)).not.toContain('canary')
  })

  test.each(['ftp://127.0.0.1/', 'not an address', ''])('%j is no address', async (url) => {
    expect(await failure(client.send({ method: 'GET', url }))).toMatchObject({
      ...{ code: 'invalid-request', outcome: 'unchanged' },
    })
  })
})

describe('retryAfterOf', () => {
  test('reads seconds and dates, and nothing else', () => {
    expect(retryAfterOf({ 'retry-after': '3' })).toBe(3000)
    expect(retryAfterOf({ 'retry-after': 'Mon, 23 Nov 2026 12:00:10 GMT' }, Date.UTC(2026, 10, 23, 12))).toBe(10_000)
    expect(retryAfterOf({ 'retry-after': 'soon' })).toBeUndefined()
    expect(retryAfterOf({})).toBeUndefined()
  })
})
