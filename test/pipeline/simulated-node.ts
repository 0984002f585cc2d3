import { VolumeExpansionError } from '../../src/errors.ts'
import type { FilesystemResizer } from '../../src/filesystems/filesystem.ts'
import type { Finding } from '../../src/findings.ts'
import type {
  BatchItem,
  BatchResult,
  BatchResults,
  DeviceSnapshot,
  ExecItem,
  ExecResult,
  Host,
  StorageSnapshot,
} from '../../src/hosts/host.ts'
import type { Growth, Layer } from '../../src/layers/layer.ts'
import { type Bytes, bytes } from '../../src/size.ts'

/** A node with one disk and one filesystem on it, in memory: what the pipeline sees of a host, without a host. */
export interface SimulatedNode {
  readonly host: Host
  readonly layer: Layer
  readonly resizer: FilesystemResizer
  /** Bytes, as they are now; tests change them as other tools would. */
  device: bigint
  filesystem: bigint
  /** What the device would show after a rescan. */
  backing: () => bigint
  diskseq: string
  uuid: string
  /** Bytes of the disk that the growth of the filesystem depends on, in hexadecimal. */
  content: string
  tools: Record<string, string>
  /** Processes that hold the disk. */
  holders: { pid: number; command: string }[]
  findings: Finding[]
  /** What was executed, in order. */
  readonly executed: string[][]
  /** How many round trips there were. */
  batches: number
  /** Called instead of growing when the grow tool runs. */
  onGrow: ((node: SimulatedNode) => Partial<ExecResult> | Promise<Partial<ExecResult>>) | undefined
  /** Rescans that show nothing yet; undefined: the layer does not repeat them. */
  deaf: number | undefined
  /** How the next measurements of the filesystem fail: a superblock read while it was written. */
  tornReads: number
}

export function simulatedNode(sizes: { device: bigint; filesystem: bigint; backing?: () => bigint }): SimulatedNode {
  const node: SimulatedNode = {
    ...{ device: sizes.device, filesystem: sizes.filesystem, backing: sizes.backing ?? (() => sizes.device) },
    ...{
      diskseq: '7',
      uuid: 'u-1',
      content: '00',
      tools: { growfs: '/sbin/growfs', rescan: '/sbin/rescan' },
      holders: [],
      findings: [],
    },
    ...{ executed: [], batches: 0, onGrow: undefined, deaf: undefined, tornReads: 0 },
    host: { id: 'sim', exec: (argv) => execute(argv), batch: (items) => batch(items) },
    layer: simulatedLayer(() => node),
    resizer: simulatedResizer(() => node),
  }

  async function execute(argv: readonly string[]): Promise<ExecResult> {
    const base = { argv, ended: 'exited', ok: true, exitCode: 0, stdout: '', stderr: '', milliseconds: 1 } as const
    if (node.holders.length > 0) return { ...base, ended: 'locked', ok: false }
    node.executed.push([...argv])
    if (argv[0] === 'rescan') {
      if (node.deaf === undefined || node.deaf === 0) node.device = node.backing()
      else node.deaf -= 1
    }
    if (argv[0] === 'growfs') {
      if (node.onGrow !== undefined) return { ...base, ...(await node.onGrow(node)) }
      node.filesystem = node.device
    }
    return base
  }

  async function one(item: BatchItem, skip: boolean): Promise<BatchResult<BatchItem>> {
    if ('exec' in item) {
      const skipped = { argv: item.exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 } as const
      return skip ? skipped : execute((item as ExecItem).exec)
    }
    if ('expect' in item) {
      const found = 'offset' in item.expect ? node.content : node.diskseq
      return { ok: item.equals === found, found }
    }
    if (item.read === 'tools') return { ok: true, value: node.tools }
    if (item.read === 'storage') return { ok: true, value: snapshotOf(node) }
    return { ok: false, errno: 'ENOSYS', message: 'not simulated' }
  }

  async function batch<const Items extends readonly BatchItem[]>(items: Items): Promise<BatchResults<Items>> {
    node.batches += 1
    const results: BatchResult<BatchItem>[] = []
    let skip = false
    for (const item of items) {
      const result = await one(item, skip)
      if (('exec' in item || 'expect' in item) && !result.ok) skip = true
      results.push(result)
    }
    return results as unknown as BatchResults<Items>
  }
  return node
}

function snapshotOf(node: SimulatedNode): StorageSnapshot {
  const device: DeviceSnapshot = {
    ...{ id: '9:0', kind: 'block', path: '/dev/sim0', name: 'sim0', size: bytes(node.device), readOnly: false },
    attributes: {
      diskseq: node.diskseq,
      sim: `${node.filesystem}`,
      uuid: node.uuid,
      content: node.content,
      torn: `${node.tornReads}`,
    },
    ...{ below: [], holders: [], partitions: [], locks: [...node.holders] },
    probe: { ok: true, value: [{ offset: 0n, bytes: ext4Marked() }] },
    mounts: [
      {
        ...{
          mountPoint: '/data',
          dev: '9:0',
          root: '/',
          type: 'sim',
          source: '/dev/sim0',
          options: ['rw'],
          superOptions: ['rw'],
        },
        statfs: { ok: false, errno: 'ENOSYS', message: 'not simulated' },
      },
    ],
  }
  if (node.tornReads > 0) node.tornReads -= 1
  return {
    system: { kernel: '6.1.0', uid: 0, capabilities: 2n ** 40n - 1n, pageSize: 4096 },
    found: ['9:0'],
    devices: [device],
  }
}

/** Bytes that carry ext4's mark, so that the content is judged to be a filesystem. */
function ext4Marked(): Uint8Array {
  const head = new Uint8Array(20 * 1024)
  head[1024 + 0x38] = 0x53
  head[1024 + 0x39] = 0xef
  return head
}

function larger(first: Bytes, second: Bytes): Bytes {
  if (first > second) return first
  return second
}

function simulatedLayer(node: () => SimulatedNode): Layer {
  return {
    kind: 'device',
    programs: ['rescan'],
    detect: (device) => device.attributes['sim'] !== undefined,
    measure: ({ id, path, size, attributes }) => ({
      ...{ id: `device:${id}`, kind: 'device', label: path, size, below: [], facts: {} },
      identity: { diskseq: attributes['diskseq'] ?? '' },
    }),
    grow: ({ size, attributes }, _snapshot, { available }): Growth => ({
      after: larger(available, size),
      findings: [],
      expect: [{ expect: { read: 'file', path: '/sys/diskseq' }, equals: attributes['diskseq'] ?? '' }],
      commands: available > size ? [{ exec: ['rescan', node().host.id] }] : [],
      tools: available > size ? [{ name: 'rescan', packages: 'sim' }] : [],
      settles: available > size,
      repeats: node().deaf !== undefined,
      summary: 'rescan',
    }),
  }
}

function simulatedResizer(node: () => SimulatedNode): FilesystemResizer {
  const sizeOf = ({ attributes }: DeviceSnapshot): Bytes => bytes(BigInt(attributes['sim'] ?? '0'))
  return {
    name: 'ext',
    programs: ['growfs'],
    detect: (device) => device.attributes['sim'] !== undefined,
    measure(device) {
      if (device.attributes['torn'] !== '0') {
        throw new VolumeExpansionError('filesystem-damaged', 'The checksum does not fit.', {
          layer: 'filesystem',
          outcome: 'unchanged',
        })
      }
      return {
        ...{
          type: 'sim',
          uuid: device.attributes['uuid'] ?? '',
          label: '',
          size: sizeOf(device),
          blockSize: bytes(4096),
        },
        ...{ mountPoints: ['/data'], facts: {} },
      }
    },
    grow: (device, _snapshot, { available }): Growth => ({
      after: larger(available, sizeOf(device)),
      findings: [...node().findings],
      expect: [
        { expect: { read: 'file', path: '/sys/diskseq' }, equals: device.attributes['diskseq'] ?? '' },
        {
          expect: { read: 'range', path: device.path, offset: 0n, length: 1 },
          equals: device.attributes['content'] ?? '',
        },
      ],
      commands: available > sizeOf(device) ? [{ exec: ['growfs', device.path] }] : [],
      tools: available > sizeOf(device) ? [{ name: 'growfs', packages: 'sim' }] : [],
      summary: 'growfs',
    }),
    diagnose: () => undefined,
  }
}
