import type { Ec2Throttles } from '../../src/testing/ec2/index.ts'

/** Whose account it is: what ModifyVolume may be called there. */
export interface Account {
  readonly name: string
  readonly throttles: Ec2Throttles
  /** Half of it, which is what the library takes. Left out: its own, half of the documented one. */
  readonly pace?: { readonly burst: number; readonly perSecond: number; readonly together: true }
}

export const documented: Account = { name: 'as documented (ModifyVolume: 50, 5/s)', throttles: {} }

/** 900 claims in 60 seconds, as in the published scale test of aws-ebs-csi-driver (pull request 1965), cannot be done with less. */
export const raised: Account = {
  name: 'raised (ModifyVolume: 200, 20/s)',
  throttles: { mutate: { burst: 200, perSecond: 20 } },
  pace: { burst: 100, perSecond: 10, together: true },
}

/** Milliseconds in `modifying`: evenly between these. */
export const modifying = [1000, 3000] as const
