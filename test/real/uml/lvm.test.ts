import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { expand, localHost, plan } from '../../../src/index.ts'
import { expectSound } from '../support/checks.ts'
import { run } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import { columnOf, groupOn, loadModules, lvm, mounted, refusalOf, sizeOf, unmounted } from '../support/mappings.ts'
import { intactRecords, startWriter } from '../support/writer.ts'

const MiB = 2n ** 20n

interface Group {
  readonly name: string
  readonly disks: readonly Disk[]
  readonly devices: readonly string[]
}

let groups = 0

async function group(count: number, options: readonly string[] = []): Promise<Group> {
  groups += 1
  const disks = Array.from({ length: count }, () => new Disk(64n * MiB))
  const devices: string[] = []
  for (const disk of disks) devices.push(await disk.attach())
  const name = `group-${groups}`
  groupOn(name, devices, options)
  return { name, disks, devices }
}

/** A logical volume with ext4, mounted; it has all that is left of the given devices. */
function volume({ name }: Group, options: readonly string[], on: readonly string[] = []): string {
  lvm('lvcreate', '--quiet', '--name', 'data', ...options, name, ...on)
  run('mkfs.ext4', '-q', `/dev/mapper/${name.replace('-', '--')}-data`)
  return `/dev/mapper/${name.replace('-', '--')}-data`
}

const all = ['--extents', '100%FREE']
const host = localHost()
const extentsOf = (device: string): string => columnOf('pvs', 'pv_pe_alloc_count', device).trim()

describe('a logical volume with ext4, online', () => {
  test('on one physical volume', async () => {
    const made = await group(1)
    const device = volume(made, all)
    const mountPoint = mounted(device)
    const content = writeContent(mountPoint)
    const writer = await startWriter(join(mountPoint, 'records'))
    const [disk] = made.disks
    const request = { volume: file().volume(disk?.image ?? ''), host, to: '128Mi' }
    const planned = await plan(request)
    const report = await expand(request)
    expect(report.layers.map(({ kind, after }) => [kind, after])).toEqual([
      ['volume', 128n * MiB],
      ['device', 128n * MiB],
      ['lvm', 124n * MiB],
      ['filesystem', 124n * MiB],
    ])
    expect(planned.actions.find(({ layer }) => layer === 'lvm')?.after).toBe(124n * MiB)
    expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
    const confirmed = await writer.stop()
    await unmounted(mountPoint)
    expectSound(device, 'ext')
    const again = mounted(device)
    expectContent(again, content)
    expect(intactRecords(join(again, 'records'))).toBeGreaterThanOrEqual(confirmed)
  })

  test('with its metadata at both ends', async () => {
    const made = await group(1, ['--pvmetadatacopies', '2'])
    const mountPoint = mounted(volume(made, all))
    // 1 MiB before the extents, and 1 MiB behind them.
    for (const [to, after] of [
      [129, 124],
      [130, 128],
    ] as const) {
      const report = await expand({ volume: file().volume(made.disks[0]?.image ?? ''), host, to: `${to}Mi` })
      expect(report.layers.find(({ kind }) => kind === 'lvm')?.after).toBe(BigInt(after) * MiB)
    }
    expect(mountPoint).not.toBe('')
  })

  test('on two physical volumes: extents come from the one whose disk is grown', async () => {
    const made = await group(2)
    const [first = '', second = ''] = made.devices
    const device = volume(made, ['--extents', '20'], [first, second])
    const mountPoint = mounted(device)
    const writer = await startWriter(join(mountPoint, 'records'))
    const before = extentsOf(second)
    const request = { volume: file().volume(made.disks[0]?.image ?? ''), host, path: mountPoint, to: '128Mi' }
    const report = await expand(request)
    // The first one had fifteen extents, and has thirty-one.
    expect(report.layers.find(({ kind }) => kind === 'lvm')?.after).toBe(BigInt(31 + Number(before)) * 4n * MiB)
    expect([extentsOf(first), extentsOf(second)]).toEqual(['31', before])
    expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
    await writer.stop()
  })

  test('to as much as was asked for', async () => {
    const made = await group(1)
    const mountPoint = mounted(volume(made, ['--extents', '5']))
    const report = await expand({ host, path: mountPoint, to: '30Mi' })
    expect(report.layers.at(-1)?.after).toBe(32n * MiB)
    expect(extentsOf(made.devices[0] ?? '')).toBe('8')
    expect(await refusalOf(expand({ host, path: mountPoint, to: '1Gi' }))).toMatchObject({ code: 'device-too-small' })
  })

  test('striped, once every leg has room', async () => {
    const made = await group(2)
    const mountPoint = mounted(volume(made, ['--stripes', '2', ...all]))
    const [first, second] = made.disks
    first?.resize(128n * MiB)
    const error = await refusalOf(expand({ host, path: mountPoint, to: 'fill' }))
    expect(error).toMatchObject({ code: 'unsupported-feature', layer: 'lvm', outcome: 'unchanged' })
    second?.resize(96n * MiB)
    const report = await expand({ host, path: mountPoint, to: 'fill' })
    expect(report.layers.at(-1)?.after).toBe(2n * 92n * MiB)
  })
})

describe('what a run left undone is finished by the next', () => {
  test.each([
    ['the physical volume was resized', (device: string): unknown => lvm('pvresize', device), ['lvm', 'filesystem']],
    [
      'the logical volume was, too',
      (device: string, name: string): unknown => [
        lvm('pvresize', device),
        lvm('lvextend', '--extents', '31', `${name}/data`),
      ],
      ['filesystem'],
    ],
  ] as const)('%s', async (_, half, layers) => {
    const made = await group(1)
    const mountPoint = mounted(volume(made, all))
    made.disks[0]?.resize(128n * MiB)
    half(made.devices[0] ?? '', made.name)
    const report = await expand({ host, path: mountPoint, to: 'fill' })
    expect(report.actions.map(({ layer }) => layer)).toEqual(layers)
    expect(report.layers.at(-1)?.after).toBe(124n * MiB)
  })
})

describe('nothing is touched', () => {
  test.each([
    [
      'the origin of a snapshot',
      'dm-snapshot',
      ({ name }: Group): unknown => lvm('lvcreate', '--snapshot', '--extents', '2', '--name', 'snap', `${name}/data`),
      /snapshot/,
    ],
    [
      'an incomplete group',
      'dm-mod',
      ({ name, disks, devices }: Group): unknown => [lvm('vgextend', name, devices[1] ?? ''), disks[1]?.detach()],
      /missing/,
    ],
    [
      'a copy of its disk',
      'dm-mod',
      ({ disks, devices }: Group): unknown => [
        run('cp', disks[0]?.image ?? '', disks[1]?.image ?? ''),
        run('losetup', '--set-capacity', devices[1] ?? ''),
      ],
      /same UUID/,
    ],
  ] as const)('%s', async (_, module, make, message) => {
    loadModules(module)
    groups += 1
    const disks = [new Disk(64n * MiB), new Disk(64n * MiB)]
    const devices = [(await disks[0]?.attach()) ?? '', (await disks[1]?.attach()) ?? '']
    const made = { name: `group-${groups}`, disks, devices }
    groupOn(made.name, devices.slice(0, 1))
    const mountPoint = mounted(volume(made, ['--extents', '5']))
    run('sync')
    await Promise.all([make(made)].flat())
    const request = { volume: file().volume(disks[0]?.image ?? ''), host, path: mountPoint, to: '128Mi' }
    const error = await refusalOf(expand(request))
    expect(error).toMatchObject({ layer: 'lvm', outcome: 'unchanged' })
    expect(error.message).toMatch(message)
    expect(error.remedy).toMatch(/\w/)
    expect([disks[0]?.size, sizeOf(devices[0] ?? '')]).toEqual([64n * MiB, 64n * MiB])
  })

  test.each([
    [
      'a thin volume',
      ['dm-thin-pool'],
      ['--thin', '--extents', '10', '--virtualsize', '24M', '--thinpool', 'pool'],
      /thin/,
    ],
    ['a RAID', ['raid1', 'dm-raid'], ['--type', 'raid1', '--mirrors', '1', '--extents', '5', '--yes'], /RAID/],
  ] as const)('%s', async (_, modules, options, message) => {
    loadModules(...modules)
    const made = await group(2)
    const mountPoint = mounted(volume(made, options))
    const error = await refusalOf(
      expand({ volume: file().volume(made.disks[0]?.image ?? ''), host, path: mountPoint, to: '128Mi' }),
    )
    expect(error).toMatchObject({ code: 'unsupported-feature', layer: 'lvm', outcome: 'unchanged' })
    expect(error.message).toMatch(message)
    expect(made.disks[0]?.size).toBe(64n * MiB)
  })

  const thin = ['--thin', '--extents', '10', '--virtualsize', '24M', '--thinpool', 'pool'] as const
  const raid = ['--type', 'raid1', '--mirrors', '1', '--extents', '5', '--yes'] as const

  test.each([
    ['a thin volume is not made larger than its pool', ['dm-thin-pool'], thin, '200Mi', 0, /thin/],
    ['a thin volume is not made larger for a disk that has grown', ['dm-thin-pool'], thin, 'fill', 1, /thin/],
    ['a RAID with room on one leg', ['raid1', 'dm-raid'], raid, 'fill', 1, /RAID volume/],
    ['a RAID with room on both legs, which is not grown here', ['raid1', 'dm-raid'], raid, 'fill', 2, /RAID/],
    ['a striped volume with room on one leg', [], ['--stripes', '2', '--extents', '30'], 'fill', 1, /striped over/],
    ['a striped volume asked for what is free', [], ['--stripes', '2', '--extents', '20'], '100Mi', 0, /free extents/],
  ] as const)('%s', async (_, modules, options, to, grown, message) => {
    loadModules(...modules)
    const made = await group(2)
    const mountPoint = mounted(volume(made, options))
    for (const disk of made.disks.slice(0, grown)) disk.resize(128n * MiB)
    const seen = (): readonly string[] => [
      columnOf('lvs', 'lv_size', `${made.name}/data`),
      ...made.devices.map((device) => columnOf('pvs', 'pv_size', device)),
    ]
    const before = seen()
    const error = await refusalOf(expand({ host, path: mountPoint, to }))
    expect(error).toMatchObject({ layer: 'lvm', outcome: 'unchanged' })
    expect(error.message).toMatch(message)
    expect(error.remedy).toMatch(/\w/)
    expect(seen()).toEqual(before)
  })

  test('a striped volume takes what is free on its legs when that is allowed', async () => {
    const made = await group(2)
    const mountPoint = mounted(volume(made, ['--stripes', '2', '--extents', '20']))
    const request = { host, path: mountPoint, to: '100Mi', accept: ['extents-elsewhere'] } as const
    expect(await expand(request)).toMatchObject({ changed: true })
    expect(columnOf('lvs', 'lv_size', `${made.name}/data`)).toBe(`${104n * MiB}`)
    expect((await expand(request)).changed).toBe(false)
  })

  test('a striped volume is refused before the disk of one leg grows', async () => {
    const made = await group(2)
    const mountPoint = mounted(volume(made, ['--stripes', '2', ...all]))
    const [disk] = made.disks
    const request = { volume: file().volume(disk?.image ?? ''), host, path: mountPoint, to: '128Mi' }
    const error = await refusalOf(expand(request))
    expect(error).toMatchObject({ code: 'unsupported-feature', layer: 'lvm', outcome: 'unchanged' })
    expect(error.message).toMatch(/striped over/)
    expect(disk?.size).toBe(64n * MiB)
  })
})
