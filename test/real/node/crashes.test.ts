import { expect, test } from 'vitest'
import { expand } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import type { GuestDisk } from '../../lab/node/guest.ts'
import { qmp } from '../../lab/node/qmp.ts'
import { until } from '../support/commands.ts'
import { LibraryProcess } from '../support/library.ts'
import { FilesystemInUse, failureOf } from './support/growth.ts'
import { Node } from './support/node.ts'
import { type Death, type NodeRequest, requestOn } from './support/requests.ts'
import { logicalVolumeOn, luksOn, openLuks, partitionOn } from './support/stacks.ts'

// The library dies, the node dies: whoever runs it again ends where an undisturbed run would have ended.

const from = 320n * MiB
const layers = ['filesystem', 'luks', 'lvm', 'partition', 'volume']
const ext4 = ['mkfs.ext4', '-q', '-F']
const program = new URL('./support/library-process.ts', import.meta.url)
/** More round trips than a growth can need. */
const most = 30

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
  const filesystem = await FilesystemInUse.on(node, await logicalVolumeOn(node, mapping), ext4)
  return { node, disk, partition, mapping, filesystem }
}

function requestFor({ node, disk, filesystem }: Pick<Stack, 'node' | 'disk' | 'filesystem'>, to: bigint): NodeRequest {
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

/** Without the device, which follows its volume by itself: sometimes before anybody has to wait for it. */
function own(grown: readonly string[]): readonly string[] {
  return grown.filter((layer) => layer !== 'device')
}

/** A run that dies, and one that completes it. @returns whether the first one died */
async function crashOnce(made: Stack, to: bigint, dies: Death): Promise<boolean> {
  const request = requestFor(made, to)
  const library = new LibraryProcess({ ...request, dies }, [], program)
  const last = await library.end()
  const ofType = (type: string): readonly string[] =>
    own(library.events.filter((event) => event.type === type).map(({ action }) => action?.layer ?? ''))
  const done = ofType('action-finished')
  if (last?.type === 'finished') {
    expect([...done].sort()).toEqual(layers)
    return false
  }
  expect(library.events.filter(({ type }) => type === 'failed')).toEqual([])
  const { grown: all, sizes } = await finish(request)
  const grown = own(all)
  const about = JSON.stringify({ dies, done, begun: ofType('action-started'), grown })
  // None twice. What had begun and was not known to have ended may have ended by itself.
  expect(
    grown.filter((layer) => done.includes(layer)),
    about,
  ).toEqual([])
  const open = ofType('action-started').filter((layer) => !done.includes(layer))
  expect([...new Set([...done, ...grown, ...open])].sort(), about).toEqual(layers)
  // As an undisturbed run has it: the volume, the disk, a MiB less for the table, 16 MiB for LUKS, and whole extents.
  const extents = ((to - 2n * MiB - 16n * MiB - MiB) / (4n * MiB)) * 4n * MiB
  expect([sizes[0], sizes[1], sizes.at(-2), sizes.at(-1)], about).toEqual([to, to, extents, extents])
  return true
}

test('killed before any of its round trips, and in the middle of each, it is completed by a second run, which repeats nothing', async () => {
  const made = await stack()
  let to = from
  for (const middle of [false, true]) {
    let [at, died] = [0, true]
    for (; died; at += 1) {
      to += 16n * MiB
      // At various moments: before the node has read the request, while its tools work, when it answers.
      died = await crashOnce(made, to, { at, ...(middle ? { after: 10 + ((at * 170) % 700) } : {}) })
      expect(at).toBeLessThan(most)
    }
    // One look, the disk that has grown, and each of its layers.
    expect(at).toBeGreaterThan(layers.length)
  }
  await made.filesystem.expectIntact()
}, 3_600_000)

async function throttle({ qmp: path, name }: GuestDisk, operations: number): Promise<void> {
  const nothing = { bps: 0, bps_rd: 0, bps_wr: 0, iops_rd: 0, iops_wr: 0 }
  await qmp(path, 'block_set_io_throttle', {
    id: `/machine/peripheral/device-${name}/virtio-backend`,
    ...nothing,
    iops: operations,
  })
}

test('killed while a tool works, it leaves the tool at its work, and a second run waits for it', async () => {
  const node = await Node.forTest()
  const disk = await node.plug({ bus: 'virtio', size: from })
  const filesystem = await FilesystemInUse.on(node, disk.device, ext4)
  const to = from * 4n
  const request = requestFor({ node, disk, filesystem }, to)
  const library = new LibraryProcess(request, [], program)
  await library.seen('action-finished', 'volume')
  await throttle(disk, 10)
  const pid = await until('resize2fs at its work', async () => {
    const { stdout } = await node.shell.attempt(['sh', '-c', 'grep -lx resize2fs /proc/[0-9]*/comm'])
    return /\d+/.exec(stdout)?.[0]
  })
  await library.kill()
  const running = await node.shell.attempt(['test', '-e', `/proc/${pid}`])
  const second = finish(request)
  await throttle(disk, 0)
  expect(running.code).toBe(0)
  const { sizes } = await second
  expect(sizes.at(-1)).toBe(to)
  await filesystem.expectIntact()
})

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
  let to = from
  for (const layer of ['partition', 'lvm']) {
    to += 128n * MiB
    const { host, ...options } = requestOn(requestFor(made, to))
    const run = expand({ host, ...options })
    for await (const event of run) {
      if (event.type === 'action-started' && event.action.layer === layer) {
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
    expect(sizes.slice(0, 2)).toEqual([to, to])
    expect(sizes.at(-1)).toBeGreaterThan(to - 24n * MiB)
  }
  await filesystem.expectIntact()
}, 900_000)
