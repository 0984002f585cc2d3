import { abortedError, VolumeExpansionError } from '../../../src/errors.ts'
import { type Volume, type VolumeExpander, type VolumeState, volumeOf } from '../../../src/expander.ts'
import { bytes } from '../../../src/size.ts'
import { type GuestDisk, resize, sizeOf } from './guest.ts'
import { type GuestAddress, GuestShell } from './shell.ts'

/** A disk of a guest as a volume of a backend, plain data: any process can grow it. */
export interface LabDiskRef extends GuestDisk {
  /** Names under /dev/disk/by-id that a backend would know besides. */
  readonly byId?: readonly string[]
  /** For an NVMe disk: the guest that serves it to itself, and where it is told that there is more. */
  readonly nvme?: { readonly address: GuestAddress; readonly revalidate: string }
}

/** The lab as a storage backend: its volumes are the disks of its guests, and grow as Nova's and QEMU's do, while the guest uses them. */
export function labDisk(ref: LabDiskRef): Volume {
  return volumeOf(labExpander, ref)
}

const labExpander: VolumeExpander<LabDiskRef> = {
  name: 'lab',
  capabilities: { granularity: bytes(512), readBatch: 1, progress: false, hostsSeeGrowth: true },
  normalize: ({ qmp, name }) => ({ scope: qmp, key: name, label: name }),
  async read(refs, { signal }) {
    if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
    return Promise.all(refs.map(stateOf))
  },
  async expand(ref, { size, signal }) {
    if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
    if ((await sizeOf(ref)) < size) await resize(ref, size)
    if (ref.nvme !== undefined) await revalidate(ref.nvme)
  },
  identify: ({ serial, byId }) => (byId === undefined ? { serial } : { serial, byId }),
}

async function stateOf(ref: LabDiskRef): Promise<VolumeState | VolumeExpansionError> {
  try {
    return {
      key: ref.name,
      size: bytes(await sizeOf(ref)),
      phase: 'stable',
      native: 'in-use',
      onlineGrowth: true,
      users: [],
    }
  } catch (cause) {
    return new VolumeExpansionError('not-found', `The lab has no disk ${ref.name}.`, {
      ...{ layer: 'volume', provider: 'lab', outcome: 'unchanged', retryable: false, cause },
    })
  }
}

async function revalidate({ address, revalidate: path }: NonNullable<LabDiskRef['nvme']>): Promise<void> {
  const shell = await GuestShell.connect(address)
  try {
    await shell.write(path, '1')
  } finally {
    shell.end()
  }
}
