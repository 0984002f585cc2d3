import type { Ec2Throttles } from '../../src/testing/ec2/index.ts'

/** Whose account it is: what ModifyVolume may be called there. */
export interface Account {
  readonly name: string
  readonly throttles: Ec2Throttles
  /** Half of it, which is what the library takes. Left out: its own, half of the documented one. */
  readonly pace?: { readonly burst: number; readonly perSecond: number; readonly together: true }
}

export const documented: Account = { name: 'as documented (ModifyVolume: 50, 5/s)', throttles: {} }

/**
 * With which 1,000 volumes take no more than 1.05 calls each at a window of 2 seconds. 7 calls look at all of them first, which leaves 43: 21 looks at growths, of two calls each
 * (DescribeVolumesModifications, and DescribeVolumes for the size that is then there). Volumes that are ready one to three seconds after a common start take more than one of them,
 * as often as not: 12 starts, of 84 volumes each. A start is no larger than the bucket of ModifyVolume, which is documented as 50.
 */
export const doubled: Account = {
  name: 'doubled (ModifyVolume: 100, 10/s)',
  throttles: { mutate: { burst: 100, perSecond: 10 } },
  pace: { burst: 95, perSecond: 5, together: true },
}

/** 900 claims in 60 seconds, as in the published scale test of aws-ebs-csi-driver (pull request 1965), cannot be done with less. */
export const raised: Account = {
  name: 'raised (ModifyVolume: 200, 20/s)',
  throttles: { mutate: { burst: 200, perSecond: 20 } },
  pace: { burst: 100, perSecond: 10, together: true },
}

/** Milliseconds in `modifying`: evenly between these. */
export const modifying = [1000, 3000] as const
