import { getEventListeners, once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { EC2Client } from '@aws-sdk/client-ec2'
import { expect, onTestFinished, test } from 'vitest'
import { deadlines, ec2Calls } from '../../../providers/ebs/client.ts'
import { ec2Error } from '../../../providers/ebs/errors.ts'

test('a connection over which no answer comes is given up, and a change that was sent over it is unknown', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  expect(deadlines.requestTimeout).toBeLessThanOrEqual(60_000)
  const client = new EC2Client({
    ...{ region: 'eu-central-1', maxAttempts: 1, requestHandler: { ...deadlines, requestTimeout: 50 } },
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
  })
  onTestFinished(() => client.destroy())
  const calls = ec2Calls(async () => client as never)
  const thrown: unknown = await calls.volumesByIds(['vol-0123456789abcdef0']).catch((error: unknown) => error)
  expect(thrown).toMatchObject({ name: 'TimeoutError' })
  expect(ec2Error(thrown, 'DescribeVolumes', 'it')).toMatchObject({ code: 'backend-unreachable', outcome: 'unchanged' })
  expect(ec2Error(thrown, 'ModifyVolume', 'it')).toMatchObject({ outcome: 'unknown', retryable: true })
})

test('one signal for many requests at once does not have Node warn of a leak, and still ends them all', async () => {
  const signals = new Set<AbortSignal>()
  const held = { send: (_command: object, given: { readonly abortSignal: AbortSignal }) => waiting(given.abortSignal) }
  const waiting = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signals.add(signal)
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  const calls = ec2Calls(async () => held as never)
  const controller = new AbortController()
  const { signal } = controller
  const listeners = (): number => getEventListeners(signal, 'abort').length
  const asked = Array.from({ length: 20 }, () => calls.volumesByIds(['vol-0123456789abcdef0'], signal))
  const ended = Promise.allSettled(asked)
  await expect.poll(() => signals.size).toBe(20)
  expect(listeners()).toBe(1)
  controller.abort(new Error('stop'))
  expect((await ended).map(({ status }) => status)).toEqual(Array(20).fill('rejected'))
  expect(listeners()).toBe(0)
})
