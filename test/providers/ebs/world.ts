import { EC2Client } from '@aws-sdk/client-ec2'
import { type EbsVolumeOptions, ebs } from '../../../providers/ebs/index.ts'
import { handleOf } from '../../../src/expander.ts'
import {
  type ExpandRequest,
  expand,
  type Report,
  type VolumeExpander,
  VolumeExpansionError,
} from '../../../src/index.ts'
import { type Ec2Emulator, type Ec2Options, ec2Emulator } from '../../../src/testing/ec2/index.ts'
import { seededRandom, type VirtualClock, virtualClock } from '../../../src/testing/index.ts'

export const one = 'vol-00000000000000001'
export const two = 'vol-00000000000000002'
export const missing = 'vol-0ffffffffffffffff'
const accessKeyId = 'AKIAIOSFODNN7EXAMPLE'
export const secretAccessKey = 'canary/secret/wJalrXUtnFEMI'
export const sessionToken = 'canary-session-FwoGZXIvYXdzEBY'

/** An emulated EC2, the official SDK's client on it, and the provider on that, all on one virtual clock. */
export interface World {
  readonly clock: VirtualClock
  readonly ec2: Ec2Emulator
  readonly client: EC2Client
  readonly expander: VolumeExpander<unknown, unknown>
  request(size: string, id?: string, wishes?: EbsVolumeOptions): ExpandRequest
  grow(size: string, id?: string, wishes?: EbsVolumeOptions): Promise<Report>
  /** Rejects with the failure of the growth. */
  failure(size: string, id?: string, wishes?: EbsVolumeOptions): Promise<VolumeExpansionError>
}

export interface WorldOptions extends Ec2Options {
  readonly clientRegion?: string
  readonly provider?: Omit<Parameters<typeof ebs>[0], 'client' | 'region'>
  readonly maxAttempts?: number
}

export function world(options: WorldOptions = {}): World {
  const { clientRegion = 'eu-west-1', provider = {}, maxAttempts = 1, ...rest } = options
  const clock = options.clock === undefined ? virtualClock({ auto: true }) : (options.clock as VirtualClock)
  const ec2 = ec2Emulator({ volumes: { [one]: { size: 10 }, [two]: { size: 10 } }, ...rest, clock })
  const client = new EC2Client({
    region: clientRegion,
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    maxAttempts,
    requestHandler: ec2.requestHandler,
  })
  const ours = ebs({ ...provider, client, clock })
  const random = seededRandom(7)
  const request = (to: string, id: string = one, wishes?: EbsVolumeOptions): ExpandRequest => ({
    volume: ours.volume(id, wishes),
    ...{ to, clock, random },
  })
  const grow: World['grow'] = async (...given) => await expand(request(...given))
  return {
    ...{ clock, ec2, client, request, grow },
    expander: handleOf(ours.volume(one)).expander,
    failure: (...given) => failureOf(grow(...given)),
  }
}

/** What it rejects with, which has to be the library's. */
export async function failureOf(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const error = await Promise.resolve(run).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof VolumeExpansionError) return error
  throw new Error(`It should have failed with the library's error, not ${error}.`)
}

/** How often each volume was really modified. */
export function modifications({ ec2 }: World): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { volumeId } of ec2.accepted) counts[volumeId] = (counts[volumeId] ?? 0) + 1
  return counts
}
