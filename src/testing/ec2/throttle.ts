import type { Clock } from '../../clock.ts'
import type { Pace } from '../../expander.ts'

/** The buckets of one account in one region. */
export interface Ec2Throttles {
  /** Reads with a filter or a page size. Left out: 100 and 20 a second. */
  readonly describe?: Pace
  /** DescribeVolumes and DescribeSnapshots with neither. Left out: 50 and 10 a second. */
  readonly unfiltered?: Pace
  /** ModifyVolume. Left out: 50 and 5 a second. */
  readonly mutate?: Pace
  /** CreateSnapshot, which has a bucket of its own. Left out: 100 and 5 a second. */
  readonly snapshot?: Pace
}

/** Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API", tables of request token buckets, as of 2025-06. */
const documented = {
  describe: { burst: 100, perSecond: 20 },
  unfiltered: { burst: 50, perSecond: 10 },
  mutate: { burst: 50, perSecond: 5 },
  snapshot: { burst: 100, perSecond: 5 },
} as const satisfies Required<Ec2Throttles>

/**
 * Token buckets that are shared by everyone in an account, one for each action ("each API is evaluated individually"). The guide says that tokens are added every
 * second; here they come evenly, which lets through no more in any longer time.
 */
export class Throttle {
  readonly #clock: Clock
  readonly #paces: Required<Ec2Throttles>
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  constructor(clock: Clock, given: Ec2Throttles) {
    this.#clock = clock
    this.#paces = { ...documented, ...given }
  }

  admit(action: string, isFiltered: boolean): boolean {
    const kind = kindOf(action, isFiltered)
    const pace = this.#paces[kind]
    const key = `${action} ${kind}`
    const now = this.#clock.now()
    const bucket = this.#buckets.get(key) ?? { tokens: pace.burst, at: now }
    this.#buckets.set(key, bucket)
    bucket.tokens = Math.min(pace.burst, bucket.tokens + ((now - bucket.at) / 1000) * pace.perSecond)
    bucket.at = now
    // A hair's breadth below a whole token is a rounding error of the refill.
    if (bucket.tokens < 1 - 1e-9) return false
    bucket.tokens -= 1
    return true
  }
}

function kindOf(action: string, isFiltered: boolean): keyof Ec2Throttles {
  if (action === 'CreateSnapshot') return 'snapshot'
  if (action === 'ModifyVolume') return 'mutate'
  if (!isFiltered && (action === 'DescribeVolumes' || action === 'DescribeSnapshots')) return 'unfiltered'
  return 'describe'
}
