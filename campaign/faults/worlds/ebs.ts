import { EC2Client } from '@aws-sdk/client-ec2'
import { ec2Calls } from '../../../providers/ebs/client.ts'
import { ebs } from '../../../providers/ebs/index.ts'
import { GiB } from '../../../src/size.ts'
import { Ec2Fault } from '../../../src/testing/ec2/fault.ts'
import { ec2Emulator } from '../../../src/testing/ec2/index.ts'
import { webFaults } from '../fault.ts'
import { Broken, exchanged, type WebService } from '../web.ts'
import type { Subject } from '../world.ts'

const id = 'vol-00000000000000001'

/** The official SDK on an emulated EC2; faults are below the SDK, where the network would be. */
export const ebsSubject: Subject = {
  name: 'ebs',
  kinds: webFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: true, shared: true },
  // Four modifications are allowed in any 24 hours.
  rest: 25 * 3_600_000,
  prepare: warmUp,
  make(wire, { world: clock, own }) {
    const ec2 = ec2Emulator({ clock, volumes: { [id]: { size: 10 } }, modifying: 2500, optimizing: 20_000 })
    const service: WebService = {
      operation: ({ body }) => new URLSearchParams(body).get('Action') ?? '?',
      mutates: ({ body }) => body.includes('Action=ModifyVolume'),
      async answer({ headers, body }) {
        const answer = await ec2.handle({ headers, body })
        if (answer === undefined) throw new Broken('reset')
        return { status: answer.status, headers: answer.headers, text: answer.body }
      },
    }
    const requestHandler = {
      async handle(
        { headers, body }: { headers: Record<string, string>; body?: unknown },
        { abortSignal }: { abortSignal?: AbortSignal } = {},
      ): Promise<object> {
        if (abortSignal?.aborted === true) throw named('AbortError', 'Request aborted')
        const request = { method: 'POST', url: new URL('https://ec2.example/'), headers, body: `${body ?? ''}` }
        const answering = exchanged(wire, service, request).catch((thrown: unknown) => {
          if (!(thrown instanceof Broken)) throw thrown
          if (thrown.how === 'late') throw named('TimeoutError', 'Connection timed out')
          const code = thrown.how === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET'
          throw Object.assign(new Error('socket hang up'), { code })
        })
        const { status, headers: given, text } = await orAborted(answering, abortSignal)
        return { response: { statusCode: status, headers: given, body: new TextEncoder().encode(text) } }
      },
      destroy: () => undefined,
      updateHttpClientConfig: () => undefined,
      httpHandlerConfigs: () => ({}),
    }
    const clients = new Map<number, ReturnType<typeof ebs>>()
    const clientOf = (process: number): ReturnType<typeof ebs> => {
      const client = new EC2Client({
        ...{ region: 'eu-west-1', maxAttempts: 1, requestHandler: requestHandler as never },
        credentials: { accessKeyId: `AKIA${process}`, secretAccessKey: 'none' },
      })
      return ebs({ client, clock: own })
    }
    return {
      size: () => BigInt(ec2.volume(id).size) * GiB,
      accepted: () => ec2.accepted.length,
      get growths() {
        return ec2.accepted.map(({ size }) => BigInt(size) * GiB)
      },
      volume(process) {
        const provider = clients.get(process) ?? clientOf(process)
        clients.set(process, provider)
        return provider.volume(id)
      },
      grow(to) {
        try {
          ec2.modifyElsewhere(id, { size: Number(to / GiB) })
        } catch (thrown) {
          // Another modification is in the way, as it would be in the way of any tool.
          if (!(thrown instanceof Ec2Fault)) throw thrown
        }
      },
    }
  },
}

/** The SDK loads parts of itself with its first requests, good and bad, which takes time that no virtual clock knows of. */
async function warmUp(): Promise<void> {
  const { requestHandler } = ec2Emulator({ volumes: { [id]: { size: 10 } } })
  const client = new EC2Client({
    ...{ region: 'eu-west-1', maxAttempts: 1, requestHandler: requestHandler as never },
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'none' },
  })
  const calls = ec2Calls(async () => client)
  await calls.volumesByIds([id])
  await calls.modificationsByFilter([id])
  await calls.modify({ VolumeId: id, Size: 20 })
  await calls.volumesByIds(['vol-0']).catch(() => undefined)
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name })
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  promise.catch(() => undefined)
  return await new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(named('AbortError', 'Request aborted'))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
