import { EC2Client } from '@aws-sdk/client-ec2'
import { ebs } from '../../providers/ebs/index.ts'
import type { Clock } from '../../src/clock.ts'
import { expandMany } from '../../src/index.ts'
import { type Ec2Emulator, ec2Emulator } from '../../src/testing/ec2/index.ts'
import { seededRandom, virtualClock } from '../../src/testing/index.ts'
import { type Account, modifying } from './settings.ts'

/** One fleet that was grown at once on an emulated EC2 with its throttles on, beside somebody else who uses half of the account's limits. */
export interface FleetResult {
  readonly account: string
  readonly volumes: number
  /** Seconds. */
  readonly window: number
  readonly callsPerVolume: number
  readonly modificationsPerVolume: number
  readonly succeeded: number
  readonly throttled: number
  readonly bystanderCalls: number
  readonly bystanderThrottled: number
  /** Seconds from the volume being ready at the backend to its growth being reported. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly most: number }
  /** Seconds of the whole. */
  readonly duration: number
}

const ours = 'AKIAOURS'
const theirs = 'AKIATHEIRS'

export function idOf(index: number): string {
  return `vol-${(index + 1).toString(16).padStart(17, '0')}`
}

function clientOf(ec2: Ec2Emulator, accessKeyId: string): EC2Client {
  const { requestHandler } = ec2
  const credentials = { accessKeyId, secretAccessKey: 'none' }
  return new EC2Client({ region: 'eu-west-1', credentials, maxAttempts: 1, requestHandler })
}

/** Hours pass at once: it runs on a virtual clock, so that a result is the same each time, whatever else the machine does. */
export async function growFleet(account: Account, volumes: number, window: number): Promise<FleetResult> {
  const clock = virtualClock()
  const random = seededRandom(11)
  const [least, most] = modifying
  const entries = Array.from({ length: volumes }, (_, index) => {
    return [idOf(index), { size: 10, modifying: least + random() * (most - least) }] as const
  })
  const ec2 = ec2Emulator({
    clock,
    volumes: Object.fromEntries(entries),
    throttles: account.throttles,
    latency: 50,
  })
  const provider = ebs({
    client: clientOf(ec2, ours),
    clock,
    poll: { window: window * 1000 },
    ...(account.pace === undefined ? {} : { pace: { expand: account.pace } }),
  })
  const ended = new AbortController()
  const neighbour = bystander(ec2, clock, account, ended.signal)
  const requests = entries.map(([id]) => ({ volume: provider.volume(id), to: '20Gi', clock, random }))
  const run = expandMany(
    requests.map((request) => ({ ...request, timeouts: { backend: 3_600_000 } })),
    { concurrency: volumes },
  )
  const latencies: number[] = []
  const watching = (async () => {
    for await (const { index, event } of run) {
      if (event.type === 'succeeded') latencies.push((clock.now() - (ec2.volume(idOf(index)).readyAt ?? 0)) / 1000)
    }
  })()
  const report = await clock.run(run)
  const duration = clock.now() / 1000
  ended.abort()
  // What is under way still has its latency to wait for.
  await clock.advance(1000)
  await Promise.all([watching, neighbour])
  latencies.sort((a, b) => a - b)
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
  const calls = ec2.calls(ours)
  const beside = ec2.calls(theirs)
  return {
    ...{ account: account.name, volumes, window, duration, succeeded: report.succeeded, throttled: calls.throttled },
    callsPerVolume: calls.total / volumes,
    modificationsPerVolume: ec2.accepted.filter(({ accessKeyId }) => accessKeyId === ours).length / volumes,
    ...{ bystanderCalls: beside.total, bystanderThrottled: beside.throttled },
    latency: { p50: at(0.5), p99: at(0.99), most: at(1) },
  }
}

/** Somebody else in the account, who calls each action steadily at half of what the account may. */
async function bystander(ec2: Ec2Emulator, clock: Clock, { throttles }: Account, signal: AbortSignal): Promise<void> {
  const authorization = `AWS4-HMAC-SHA256 Credential=${theirs}/20300101/eu-west-1/ec2/aws4_request`
  const steadily = async (perSecond: number, body: string): Promise<void> => {
    for (;;) {
      await clock.sleep(1000 / perSecond, signal)
      await ec2.handle({ headers: { authorization }, body })
    }
  }
  const mutations = throttles.mutate?.perSecond ?? 5
  // Dry runs take tokens like any other call.
  const calls = [
    steadily(mutations / 2, `Action=ModifyVolume&DryRun=true&VolumeId=${idOf(0)}`),
    steadily(5, `Action=DescribeVolumes&VolumeId.1=${idOf(0)}`),
    steadily(10, `Action=DescribeVolumesModifications&Filter.1.Name=volume-id&Filter.1.Value.1=${idOf(0)}`),
  ]
  await Promise.allSettled(calls)
}
