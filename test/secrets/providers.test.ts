import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cinder } from '../../providers/cinder/index.ts'
import { gcePd } from '../../providers/gce-pd/index.ts'
import { glusterfs } from '../../providers/glusterfs/index.ts'
import { rbd } from '../../providers/rbd/index.ts'
import { startCompute } from '../../src/testing/compute/index.ts'
import { heketiEmulator } from '../../src/testing/heketi/index.ts'
import { projectId, startCloud, volume } from '../providers/cinder/cloud.ts'
import { one, secretAccessKey, sessionToken, world } from '../providers/ebs/world.ts'
import { Watch } from './watch.ts'

const id = '11111111-2222-4333-8444-555555555555'
/** How a server behaves: `right`, or how it goes wrong. `echo`: it shows in its refusal what it was sent. */
type Weather = 'right' | 'denied' | 'broken' | 'lost' | 'echo'
const weathers: readonly Weather[] = ['right', 'denied', 'broken', 'lost', 'echo']
const quick = { timeouts: { backend: 2000 } } as const

async function serve(
  answer: (request: IncomingMessage, body: string) => readonly [number, unknown, object?] | undefined,
): Promise<string> {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += chunk
    const [status, json, headers] = answer(request, body) ?? []
    if (status === undefined) request.socket.destroy()
    else response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json))
  }
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe.each([
  ['a password', { username: 'somebody', password: 'canary/of the+password' }],
  [
    'an application credential',
    { applicationCredentialId: 'abc', applicationCredentialSecret: 'canary/of the+credential' },
  ],
])('cinder() with %s', (_, auth) => {
  test.each(weathers)('when the cloud is %s', async (weather) => {
    const token = 'gAAAA-canary/of+a-token=='
    const secrets = [token, ...Object.values(auth).filter((value) => value.startsWith('canary'))]
    const cloud = await startCloud()
    const endpoint = { interface: 'public', region_id: 'RegionOne', url: `${cloud.url}/volume/v3/${projectId}` }
    const granted = {
      ...{ expires_at: new Date(Date.now() + 3_600_000).toISOString(), project: { id: projectId } },
      catalog: [{ type: 'volumev3', endpoints: [endpoint] }],
    }
    cloud.keystone = ({ body }) => {
      if (weather === 'denied')
        return {
          status: 401,
          body: { error: { code: 401, message: 'The request you have made requires authentication.' } },
        }
      if (weather === 'echo')
        return { status: 400, body: { error: { code: 400, message: `Malformed: ${JSON.stringify(body)}` } } }
      return { status: 201, headers: { 'x-subject-token': token }, body: { token: granted } }
    }
    let size = 1
    cloud.cinder = ({ method, path, body }) => {
      if (path.startsWith('/messages') || path.startsWith('/os-quota'))
        return { status: 403, body: { forbidden: { message: 'no' } } }
      if (weather === 'broken' || (weather === 'lost' && method === 'POST'))
        return { status: 500, body: { computeFault: { message: 'It broke.' } } }
      if (method === 'POST')
        size = (body as { readonly 'os-extend': { readonly new_size: number } })['os-extend'].new_size
      return method === 'POST' ? { status: 202 } : { body: { volume: volume(id, { size }) } }
    }
    const watch = new Watch()
    const provider = cinder({ auth: { authUrl: `${cloud.url}/identity`, ...auth } })
    watch.show('the provider', provider)
    const ended = await watch.run({ volume: provider.volume(id), to: '2Gi', ...quick })
    watch.expectNone(secrets)
    expect(ended === 'done').toBe(weather === 'right')
  })
})

test.each(weathers)('ebs() when EC2 is %s', async (weather) => {
  const made = world({ modifying: 1000, optimizing: 1000 })
  if (weather === 'denied') made.ec2.trouble('DescribeVolumes', { code: 'AuthFailure', status: 401 }, 50)
  if (weather === 'broken') made.ec2.trouble('ModifyVolume', { code: 'InternalError', status: 500 }, 50)
  if (weather === 'lost') made.ec2.trouble('ModifyVolume', 'lost')
  if (weather === 'echo')
    made.ec2.trouble(
      'DescribeVolumes',
      { code: 'UnauthorizedOperation', status: 403, message: 'Encoded authorization failure message: abc' },
      50,
    )
  const watch = new Watch()
  watch.show('the client', made.expander)
  const ended = await watch.run(made.request('20Gi', one))
  watch.expectNone([secretAccessKey, sessionToken])
  expect(ended === 'done').toBe(weather === 'right' || weather === 'lost')
})

const disk = { zone: 'europe-west1-b', disk: 'd1' }

test.each(weathers.filter((weather) => weather !== 'echo'))('gcePd() when Compute Engine is %s', async (weather) => {
  const token = 'ya29.canary/of+an-access-token'
  const emulator = await startCompute({
    tokens: [weather === 'denied' ? 'another' : token],
    disks: [{ name: 'd1', zone: disk.zone, sizeGb: 10 }],
  })
  onTestFinished(() => emulator.stop())
  if (weather === 'broken') emulator.faults.add('disks.resize', { kind: 'status', status: 400, reason: 'invalid' }, 50)
  if (weather === 'lost') emulator.faults.add('disks.resize', { kind: 'lost-answer' })
  const watch = new Watch()
  const provider = gcePd({ project: 'test-project', endpoint: emulator.url, credentials: () => token })
  watch.show('the provider', provider)
  const ended = await watch.run({ volume: provider.volume(disk), to: '20Gi' })
  watch.expectNone([token])
  expect(ended === 'done').toBe(weather === 'right' || weather === 'lost')
})

test('gcePd() with the key of a service account that cannot be used', async () => {
  const secret = 'MIIcanaryOfAPrivateKeyOfAServiceAccount0123456789'
  const credentials = {
    client_email: 'somebody@example.com',
    private_key: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`,
  }
  const watch = new Watch()
  const provider = gcePd({ project: 'test-project', endpoint: 'http://127.0.0.1:9', credentials })
  watch.show('the provider', provider)
  const ended = await watch.run({ volume: provider.volume(disk), to: '20Gi' })
  watch.expectNone([secret])
  expect(ended).not.toBe('done')
})

test.each(weathers)('glusterfs() over Heketi when it is %s', async (weather) => {
  const key = 'canary/of the+admin key'
  const emulator = await heketiEmulator({ adminKey: weather === 'denied' ? 'another' : key })
  onTestFinished(() => emulator.close())
  const volumeId = 'a'.repeat(32)
  emulator.add(volumeId, { size: 10 })
  if (weather === 'broken') emulator.failNext('It broke.')
  if (weather === 'lost') emulator.lose('accepted')
  if (weather === 'echo') emulator.answerNext(400, 'It is malformed.', 5)
  const watch = new Watch()
  const provider = glusterfs({ heketi: { url: emulator.url, key } })
  watch.show('the provider', provider)
  const ended = await watch.run({ volume: provider.volume(volumeId), to: '20Gi' })
  watch.expectNone([key, ...emulator.tokens.map((header) => header.replace(/^bearer /i, ''))])
  expect(emulator.tokens.length).toBeGreaterThan(0)
  expect(ended === 'done').toBe(weather === 'right' || weather === 'lost')
})

test.each(weathers)('rbd() over the dashboard when it is %s', async (weather) => {
  const [password, token] = ['canary/of the+dashboard', 'eyJ-canary.of/a+token']
  let size = 64 * 2 ** 20
  const url = await serve((request, body) => {
    if (request.url === '/api/auth') {
      if (weather === 'denied') return [400, { code: 'invalid_credentials', component: 'auth' }]
      if (weather === 'echo') return [500, { detail: `Malformed: ${body}` }]
      return [201, { token }]
    }
    if (!request.url?.startsWith('/api/block/image/')) return [403, { detail: 'no' }]
    if (request.method === 'PUT') {
      if (weather === 'broken') return [500, { detail: 'It broke.' }]
      size = (JSON.parse(body) as { readonly size: number }).size
      return weather === 'lost' ? undefined : [200, null]
    }
    return [200, { size, obj_size: 4_194_304, id: '10ab', features: 1, features_name: ['layering'] }]
  })
  const watch = new Watch()
  const provider = rbd({ dashboard: { url, username: 'admin', password, allowUnguardedResize: true } })
  watch.show('the provider', provider)
  const ended = await watch.run({ volume: provider.volume('volumes/a'), to: '128Mi', ...quick })
  watch.expectNone([password, token])
  expect(ended === 'done').toBe(weather === 'right' || weather === 'lost')
})
