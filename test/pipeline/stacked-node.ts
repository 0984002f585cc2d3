import type { FilesystemResizer } from '../../src/filesystems/filesystem.ts'
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
import type { Growth, GrowthContext, Layer } from '../../src/layers/layer.ts'
import { type Bytes, bytes } from '../../src/size.ts'
import type { LayerKind } from '../../src/where.ts'

/** A device of a simulated graph. */
export interface StackedDevice {
  readonly id: string
  readonly kind: LayerKind
  readonly below: readonly string[]
  size: bigint
  /** Whether its growth needs the key `open sesame`. */
  readonly encrypted?: boolean
}

/** A node with a graph of layers and one filesystem on the last of its devices, in memory. */
export interface StackedNode {
  readonly host: Host
  readonly layers: readonly Layer[]
  readonly resizer: FilesystemResizer
  readonly devices: readonly StackedDevice[]
  filesystem: bigint
  /** Ids of the devices that the hints of the volume fit. */
  hinted: readonly string[]
  readonly executed: string[][]
  /** What came through standard input. */
  readonly inputs: string[]
  /** What each layer was told, by the id of its device; the last time counts. */
  readonly contexts: Map<string, GrowthContext>
  batches: number
}

const kinds: readonly LayerKind[] = ['device', 'multipath', 'partition', 'luks', 'lvm']

export function stackedNode(devices: readonly StackedDevice[], filesystem: bigint): StackedNode {
  const node: StackedNode = {
    ...{ devices, filesystem, hinted: [], executed: [], inputs: [], contexts: new Map(), batches: 0 },
    host: { id: 'sim', exec: (argv) => execute({ exec: argv }), batch: (items) => batch(items) },
    layers: kinds.map((kind) => layerOf(kind)),
    resizer: resizerOf(),
  }
  const find = (id: string): StackedDevice => {
    const found = devices.find((candidate) => candidate.id === id)
    if (found === undefined) throw new TypeError(`There is no ${id}.`)
    return found
  }
  const top = (): StackedDevice => find(devices.at(-1)?.id ?? '')

  async function execute({ exec, stdin }: ExecItem): Promise<ExecResult> {
    const base = {
      argv: exec,
      ended: 'exited',
      ok: true,
      exitCode: 0,
      stdout: '',
      stderr: '',
      milliseconds: 1,
    } as const
    node.executed.push([...exec])
    const given = stdin === undefined ? '' : new TextDecoder().decode(stdin)
    if (stdin !== undefined) node.inputs.push(given)
    const [program, id = '', size = '0'] = exec
    if (program === 'grow') find(id).size = BigInt(size)
    if (program === 'growfs') node.filesystem = top().size
    return program === 'prove' && given !== 'open sesame'
      ? { ...base, ok: false, exitCode: 2, stderr: 'No key available with this passphrase.' }
      : base
  }

  async function batch<const Items extends readonly BatchItem[]>(items: Items): Promise<BatchResults<Items>> {
    node.batches += 1
    const results: BatchResult<BatchItem>[] = []
    for (const item of items) {
      if ('exec' in item) results.push(await execute(item as ExecItem))
      else if ('expect' in item) results.push({ ok: true, found: item.equals })
      else if (item.read === 'tools') results.push({ ok: true, value: { grow: '/grow', prove: '/prove' } })
      else if (item.read === 'storage') results.push({ ok: true, value: snapshot('hints' in item.at) })
      else results.push({ ok: false, errno: 'ENOSYS', message: 'not simulated' })
    }
    return results as unknown as BatchResults<Items>
  }

  function snapshot(byHints: boolean): StorageSnapshot {
    return {
      system: { kernel: '6.1.0', uid: 0, capabilities: 2n ** 40n - 1n, pageSize: 4096 },
      found: byHints ? [...node.hinted] : [top().id],
      devices: devices.map((device) => snapshotOf(device, device === top())),
    }
  }

  function snapshotOf({ id, below, size }: StackedDevice, isTop: boolean): DeviceSnapshot {
    const head = new Uint8Array(20 * 1024)
    if (isTop) head.set([0x53, 0xef], 1024 + 56)
    const mount = { mountPoint: '/data', dev: id, root: '/', type: 'sim', source: `/dev/${id}` }
    const statfs = { ok: false, errno: 'ENOSYS', message: 'not simulated' } as const
    return {
      ...{ id, kind: 'block', path: `/dev/${id}`, name: id, size: bytes(size), readOnly: false },
      ...{ attributes: {}, below, holders: [], partitions: [], locks: [] },
      probe: { ok: true, value: [{ offset: 0n, bytes: head }] },
      mounts: isTop ? [{ ...mount, options: ['rw'], superOptions: ['rw'], statfs }] : [],
    }
  }

  function layerOf(kind: LayerKind): Layer {
    return {
      kind,
      detect: ({ id }) => find(id).kind === kind,
      measure: ({ id, path, size }) => ({
        ...{ id: `${kind}:${id}`, kind, label: path, size, below: [], facts: {}, identity: { id } },
      }),
      keyProof: ({ id }) =>
        find(id).encrypted === true ? { uuid: `uuid of ${id}`, command: ['prove', id], tools: [] } : undefined,
      grow: ({ id, size }, _snapshot, context): Growth => {
        node.contexts.set(id, context)
        const { available, wanted, key } = context
        const after = larger(size, wanted === undefined || wanted > available ? available : wanted)
        const stdin = key === undefined ? {} : { stdin: key }
        const commands = after > size ? [{ exec: ['grow', id, `${after}`], ...stdin }] : []
        return { after, findings: [], expect: [], commands, tools: [], summary: `grow ${id}` }
      },
    }
  }

  function resizerOf(): FilesystemResizer {
    return {
      name: 'ext',
      detect: () => true,
      measure: () => ({
        ...{ type: 'sim', uuid: 'u', label: '', size: bytes(node.filesystem), blockSize: bytes(4096) },
        ...{ mountPoints: ['/data'], facts: {} },
      }),
      grow: (_device, _snapshot, context): Growth => {
        node.contexts.set('filesystem', context)
        const after = larger(bytes(node.filesystem), context.available)
        const commands = after > node.filesystem ? [{ exec: ['growfs'] }] : []
        return { after, findings: [], expect: [], commands, tools: [], summary: 'growfs' }
      },
      diagnose: () => undefined,
    }
  }
  return node
}

function larger(first: Bytes, second: Bytes): Bytes {
  if (first > second) return first
  return second
}
