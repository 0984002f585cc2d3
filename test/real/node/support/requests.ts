import type { Host, Volume } from '../../../../src/index.ts'
import type { GuestAddress } from '../../../lab/node/shell.ts'
import { type LabDiskRef, labDisk } from '../../../lab/node/volume.ts'
import { hostAt } from './host.ts'

/** The passphrase of the tests. */
export const passphrase = 'canary-6b1c52f7'

/** A request as plain data, for a process of its own. */
export interface NodeRequest {
  readonly disk: LabDiskRef
  readonly address: GuestAddress
  readonly path: string
  readonly to: string
  /** Where the process that runs it is to die. */
  readonly dies?: Death
}

/** A call by which the library looks at the world or changes it, and the how manieth of its name. */
export interface Death {
  readonly call: string
  readonly nth: number
  /** Right before the call; or somebody else kills it in the call, which it makes once it is told to by a line on its standard input. */
  readonly when: 'before' | 'within'
}

/** Milliseconds: an emulated machine on a busy one answers late. */
export const patient = { observe: 300_000, device: 300_000 } as const

export interface RequestOnNode {
  readonly volume: Volume
  readonly host: Host
  readonly path: string
  readonly to: string
  readonly luksKey: () => Promise<string>
  readonly timeouts: typeof patient
}

export function requestOn({ disk, address, path, to }: NodeRequest): RequestOnNode {
  return { volume: labDisk(disk), host: hostAt(address), path, to, luksKey: async () => passphrase, timeouts: patient }
}
