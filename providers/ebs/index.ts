import { createHash } from 'node:crypto'
import {
  fromPersistentVolumeOf,
  type Pace,
  type PollCadence,
  type Provider,
  type Volume,
  volumeOf,
} from '../../src/expander.ts'
import { deadlines, type Ec2Client, ec2Calls, loadSdk } from './client.ts'
import { ebsExpander } from './expander.ts'
import { defaultPace, defaultPoll, type EbsVolumeType, isVolumeType } from './limits.ts'
import type { EbsVolumeOptions } from './reference.ts'
import { Sights } from './sights.ts'

export type { EbsVolumeOptions, EbsVolumeType, Ec2Client }

/** Static credentials, or whatever else the SDK takes as its `credentials`, such as a function that gives them. */
export type EbsCredentials =
  | { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
  | (() => Promise<object>)

export interface EbsCommonOptions {
  /** How much of the account's limits this process takes. Left out: half of the documented ones. Raise it where AWS has raised the account's. */
  readonly pace?: { readonly read?: Pace; readonly expand?: Pace }
  /** How growths are followed; its `window` trades calls for latency in a fleet. Left out: looks at one after a second and then ever later, at many every two seconds. */
  readonly poll?: Partial<PollCadence>
  /** The wall clock and the time of the process, for tests. */
  readonly clock?: { now(): number; date(): Date }
}

export interface EbsClientOptions extends EbsCommonOptions {
  /**
   * An `EC2Client` of one's own, or anything with its `send`. Its retries are its own: give it `maxAttempts: 1`, since this library repeats and paces by itself, and a
   * retry that it does not see is a call that it does not count. Its deadlines are its own too, and the SDK has none for an answer: give it a `requestHandler` with
   * `requestTimeout` and `throwOnRequestTimeout`.
   */
  readonly client: Ec2Client
}

export interface EbsRegionOptions extends EbsCommonOptions {
  readonly region: string
  /** Left out: the SDK's own chain of providers. */
  readonly credentials?: EbsCredentials
  /** Left out: the region's. */
  readonly endpoint?: string
  readonly client?: undefined
}

export type EbsOptions = EbsClientOptions | EbsRegionOptions

/** Volumes of Amazon EBS. */
export interface EbsProvider extends Provider {
  /**
   * The volume with an id such as `vol-0123456789abcdef0`. Performance and type are changed together with the size, in one modification, and only then: a volume that is
   * large enough is left alone, however fast it is, since a change of its speed is no growth and would use up one of the four modifications that a volume may
   * have in 24 hours.
   *
   * @throws {TypeError} when an option is of the wrong kind
   * @throws {VolumeExpansionError} `invalid-reference`
   */
  volume(id: string, options?: EbsVolumeOptions): Volume
}

/** Scopes that were used in this process: repeated `ebs({ region })` share client, batches, rate limits and what was seen. */
const byRegion = new Map<string, Sights>()
const byClient = new WeakMap<object, { readonly scope: string; readonly sights: Sights }>()
let clients = 0

/**
 * The provider of Amazon EBS, through @aws-sdk/client-ec2 (an optional peer, loaded with the first call). With `region` it makes a client whose own retries are off.
 * Rights: ec2:DescribeVolumes, ec2:DescribeVolumesModifications, ec2:ModifyVolume; for snapshots also ec2:CreateSnapshot, ec2:CreateTags and ec2:DescribeSnapshots.
 *
 * It was tried with the official SDK against an emulator of the documented behaviour, never against the real EC2.
 *
 * @throws {TypeError} at once, when an option is of the wrong kind
 */
export function ebs(options: EbsOptions): EbsProvider {
  const { scope, sights } = scopeOf(options)
  const expander = ebsExpander({
    ...{ scope, sights },
    pace: { ...defaultPace, ...options.pace },
    poll: { ...defaultPoll, ...options.poll },
    date: () => options.clock?.date() ?? new Date(),
  })
  return {
    name: expander.name,
    fromPersistentVolume: fromPersistentVolumeOf(expander, {}),
    volume(id, wishes = {}) {
      checkWishes(wishes)
      return volumeOf(expander, { ...wishes, id }, wishes)
    },
  }
}

function scopeOf(options: EbsOptions): { readonly scope: string; readonly sights: Sights } {
  if (typeof options !== 'object' || options === null) throw new TypeError('ebs() takes `{ region }` or `{ client }`.')
  const now = options.clock === undefined ? undefined : (): number => options.clock?.now() ?? 0
  if (options.client !== undefined) {
    const { client } = options
    if (typeof client !== 'object' || client === null || typeof client.send !== 'function') {
      throw new TypeError('`client` is an EC2Client, or anything with its `send`.')
    }
    const known = byClient.get(client)
    if (known !== undefined) return known
    clients += 1
    const made = {
      scope: `client ${clients}`,
      sights: new Sights(
        ec2Calls(async () => client, now === undefined),
        now,
      ),
    }
    byClient.set(client, made)
    return made
  }
  const { region, endpoint, credentials } = options
  if (typeof region !== 'string' || !/^[a-z0-9-]+$/.test(region)) {
    throw new TypeError('`region` is the name of a region, such as eu-west-1.')
  }
  if (endpoint !== undefined && !URL.canParse(endpoint)) throw new TypeError('`endpoint` is a URL.')
  const scope = [region, endpoint, accountOf(credentials)].filter((part) => part !== undefined).join(' ')
  // Functions that give credentials cannot be told apart by what they give, so that each has a client of its own.
  const isShareable = typeof credentials !== 'function'
  const sights =
    (isShareable ? byRegion.get(scope) : undefined) ?? new Sights(ec2Calls(clientFor(options), now === undefined), now)
  if (isShareable) byRegion.set(scope, sights)
  return { scope, sights }
}

/** Tells accounts apart without showing a key. */
function accountOf(credentials: EbsCredentials | undefined): string | undefined {
  if (credentials === undefined) return undefined
  if (typeof credentials === 'function') return `credentials ${identityOf(credentials)}`
  const { accessKeyId, secretAccessKey } = credentials
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
    throw new TypeError('`credentials` are an access key, or a function that gives one.')
  }
  return `key ${createHash('sha256').update(accessKeyId).digest('hex').slice(0, 12)}`
}

const identities = new WeakMap<object, number>()
let identified = 0

function identityOf(value: object): number {
  const known = identities.get(value)
  if (known !== undefined) return known
  identified += 1
  identities.set(value, identified)
  return identified
}

function clientFor({ region, endpoint, credentials }: EbsRegionOptions): () => Promise<Ec2Client> {
  let making: Promise<Ec2Client> | undefined
  const make = async (): Promise<Ec2Client> => {
    const { EC2Client } = await loadSdk()
    return new EC2Client({
      ...{ region, maxAttempts: 1, requestHandler: deadlines },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    })
  }
  return () => {
    making ??= make().catch((error: unknown) => {
      making = undefined
      throw error
    })
    return making
  }
}

function checkWishes(wishes: EbsVolumeOptions): void {
  if (typeof wishes !== 'object' || wishes === null) throw new TypeError('The options of a volume are an object.')
  for (const name of ['iops', 'throughput'] as const) {
    const value = wishes[name]
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) {
      throw new TypeError(`\`${name}\` is a whole number above 0.`)
    }
  }
  const { type, hypervisor } = wishes
  if (type !== undefined && !isVolumeType(type)) throw new TypeError('`type` is a volume type, such as gp3.')
  if (hypervisor !== undefined && hypervisor !== 'nitro' && hypervisor !== 'xen') {
    throw new TypeError("`hypervisor` is 'nitro' or 'xen'.")
  }
}
