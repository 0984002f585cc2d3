import { once } from 'node:events'
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
