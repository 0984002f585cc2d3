import { expect, test } from 'vitest'
import { expand } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import type { GuestDisk } from '../../lab/node/guest.ts'
import { LibraryProcess } from '../support/library.ts'
import { FilesystemInUse, failureOf } from './support/growth.ts'
import { Node } from './support/node.ts'
import { type Death, type NodeRequest, requestOn } from './support/requests.ts'
import { logicalVolumeOn, luksOn, openLuks, partitionOn } from './support/stacks.ts'
import { stopping } from './support/tools.ts'

// The library dies, the node dies: whoever runs it again ends where an undisturbed run would have ended.

const from = 128n * MiB
const layers = ['filesystem', 'luks', 'lvm', 'partition', 'volume']
const program = new URL('./support/library-process.ts', import.meta.url)

/** What the library does to grow this stack, in its order: before each of these it is killed once, and once while each tool works. */
const deaths: readonly (Death & { readonly tool?: string })[] = [
  { call: 'read the volume', nth: 1, when: 'before' },
  { call: 'look', nth: 1, when: 'before' },
  // The key is proven before anything is changed.
  { call: 'cryptsetup', nth: 1, when: 'before' },
  { call: 'expand the volume', nth: 1, when: 'before' },
  // The device is waited for.
  { call: 'look', nth: 2, when: 'before' },
  { call: 'sh', nth: 1, when: 'before' },
  { call: 'sh', nth: 1, when: 'within', tool: '^(\\S*/)?sfdisk ' },
  { call: 'cryptsetup', nth: 2, when: 'before' },
  { call: 'cryptsetup', nth: 2, when: 'within', tool: '^(\\S*/)?cryptsetup .*resize' },
  { call: 'lvm and lvm', nth: 1, when: 'before' },
  { call: 'lvm and lvm', nth: 1, when: 'within', tool: '^(\\S*/)?lvm .*(pvresize|lvextend)' },
  { call: 'resize2fs', nth: 1, when: 'before' },
  { call: 'resize2fs', nth: 1, when: 'within', tool: '^(\\S*/)?resize2fs ' },
]

interface Stack {
  readonly node: Node
  readonly disk: GuestDisk & { readonly device: string }
  readonly partition: string
  readonly mapping: string
  readonly filesystem: FilesystemInUse
}

/** GPT, LUKS2, LVM and ext4, in use. */
async function stack(): Promise<Stack> {
  const node = await Node.forTest()
  const disk = await node.plug({ bus: 'virtio', size: from })
  const partition = await partitionOn(node, disk.device, 'gpt')
  const mapping = await luksOn(node, partition)
  const filesystem = await FilesystemInUse.on(node, await logicalVolumeOn(node, mapping), ['mkfs.ext4', '-q', '-F'])
  return { node, disk, partition, mapping, filesystem }
}

function requestFor({ node, disk, filesystem }: Stack, to: bigint): NodeRequest {
  return { disk, address: node.guest.address, path: filesystem.mountPoint, to: `${to}` }
}

interface Finish {
  /** Layers that it grew. */
  readonly grown: readonly string[]
  readonly sizes: readonly bigint[]
}

/** Runs it to its end, and finds nothing to do after that. */
async function finish(request: NodeRequest): Promise<Finish> {
  const { host, ...options } = requestOn(request)
  try {
    const report = await expand({ host, ...options })
    expect(await expand({ host, ...options })).toMatchObject({ changed: false, actions: [] })
    return { grown: report.actions.map(({ layer }) => layer), sizes: report.layers.map(({ after }) => after) }
  } finally {
    await host.close?.()
  }
}

/** As an undisturbed run leaves it: the volume, the disk, a MiB less for the table, 16 MiB for LUKS, and whole extents. */
function expectSizes(sizes: readonly bigint[], to: bigint): void {
  const extents = ((to - 2n * MiB - 16n * MiB - MiB) / (4n * MiB)) * 4n * MiB
  expect([sizes[0], sizes[1], sizes.at(-2), sizes.at(-1)]).toEqual([to, to, extents, extents])
}

/** Without the device, which follows its volume by itself: sometimes before anybody has to wait for it. */
function own(grown: readonly string[]): readonly string[] {
  return grown.filter((layer) => layer !== 'device')
}

test('killed before any of its calls, and in the middle of each tool, it is completed by the runs after it, which repeat nothing', async () => {
  const made = await stack()
  const to = from * 2n
  const done = new Set<string>()
  const begun = new Set<string>()
  let letGoOn: (() => Promise<void>) | undefined
  for (const { tool, ...dies } of deaths) {
    const about = JSON.stringify({ dies, done: [...done], begun: [...begun] })
    const stopped = tool === undefined ? undefined : await stopping(made.node, tool)
    const library = new LibraryProcess({ ...requestFor(made, to), dies }, [], program)
    if (stopped !== undefined) {
      await library.calls(dies.call, dies.nth)
      library.tell('go on')
      const working = await stopped()
      await library.kill()
      expect(await working.isThere(), about).toBe(true)
      if (dies.call === 'resize2fs') letGoOn = working.goOn
      else await working.goOn()
    }
    const last = await library.end()
    if (tool === undefined) expect(last, about).toMatchObject({ type: 'call', call: dies.call, nth: dies.nth })
    expect(library.events.find(({ type }) => type === 'failed')?.error, about).toBeUndefined()
    const ofType = (type: string): readonly string[] =>
      own(library.events.flatMap(({ type: of, action }) => (of === type ? [action?.layer ?? ''] : [])))
    const started = ofType('action-started')
    expect(
      started.filter((layer) => done.has(layer)),
      about,
    ).toEqual([])
    for (const layer of started) begun.add(layer)
    for (const layer of ofType('action-finished')) done.add(layer)
  }
  // The last tool is still at its work: it is waited for, not doubled.
  const { host, ...options } = requestOn(requestFor(made, to))
  const run = expand({ host, ...options })
  const reasons: string[] = []
  for await (const event of run) {
    if (event.type !== 'waiting') continue
    reasons.push(event.reason)
    await letGoOn?.()
    letGoOn = undefined
  }
  const report = await run
  await host.close?.()
  expect(reasons).toContainEqual(expect.stringMatching(/another tool holds/))
  const grown = own(report.actions.map(({ layer }) => layer))
  expect(grown.filter((layer) => done.has(layer))).toEqual([])
  expect([...new Set([...begun, ...grown])].sort()).toEqual(layers)
  expectSizes((await finish(requestFor(made, to))).sizes, to)
  await made.filesystem.expectIntact()
}, 1_800_000)

test('when the node starts anew in the middle, the run says that it cannot know, and another run completes it', async () => {
  const made = await stack()
  const { node, partition, mapping, filesystem } = made
  const partitionName = await node.shell.run(
    'udevadm',
    'info',
    '--query=property',
    '--property=ID_PART_ENTRY_UUID',
    '--value',
    partition,
  )
  const to = from * 2n
  const { host, ...options } = requestOn(requestFor(made, to))
  const run = expand({ host, ...options })
  for await (const event of run) {
    if (event.type === 'action-started' && event.action.layer === 'partition') {
      await node.reset()
      break
    }
  }
  expect(await failureOf(run)).toMatchObject({ code: 'host-unreachable', outcome: 'unknown' })
  await host.close?.()
  await openLuks(node, `/dev/disk/by-partuuid/${partitionName}`, mapping.replace('/dev/mapper/', ''))
  await node.shell.run('vgchange', '--quiet', '--activate', 'y')
  await filesystem.revive()
  const { sizes } = await finish(requestFor(made, to))
  expectSizes(sizes, to)
  await filesystem.expectIntact()
}, 900_000)
