import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { layerCases } from '../../../src/conformance/index.ts'
import { applyAcceptance } from '../../../src/findings.ts'
import type { Growth, GrowthContext } from '../../../src/layers/layer.ts'
import { lvm } from '../../../src/layers/lvm/index.ts'
import type { Bytes } from '../../../src/size.ts'
import { deviceOf, mib } from '../device/snapshots.ts'
import { type Details, mappingUuid, storage } from './groups.ts'

interface Asked {
  /** MiB of each device below. */
  readonly to?: readonly number[]
  readonly wanted?: number
  /** Which of the devices stand on the volume. */
  readonly onVolume?: readonly string[]
}

function grow(details: Details = {}, { to = [96], wanted, onVolume }: Asked = {}): Growth {
  const { device, snapshot } = storage(details)
  const below = new Map(device.below.map((id, index) => [id, mib(to[index] ?? 64)]))
  const context: GrowthContext = {
    available: [...below.values()].reduce((sum, each) => sum + each, 0n) as Bytes,
    below,
    offline: false,
    ...(wanted === undefined ? {} : { wanted: mib(wanted) }),
    ...(onVolume === undefined ? {} : { onVolume: new Set(onVolume) }),
  }
  return lvm.grow(device, snapshot, context)
}

const full: Details = { pv: [{ pv_pe_alloc_count: '15' }], lv: { lv_size: `${15n * 4_194_304n}` } }
const commands = (growth: Growth): readonly string[] => growth.commands.map(({ exec }) => exec.join(' '))
const messages = ({ findings }: Growth): readonly string[] => findings.map(({ code, message }) => `${code}: ${message}`)
const pvresize = (path: string): string => `lvm pvresize --config backup { archive=0 } ${path}`
const lvextend = (extents: number, ...paths: readonly string[]): string =>
  `lvm lvextend --config backup { archive=0 } --extents ${extents} data/w ${paths.join(' ')}`

describe('conformance', () => {
  const one = storage(full)
  const trailing = storage({ ...full, trailing: mib(1), pv: [{ pv_pe_alloc_count: '15', pv_mda_count: '2' }] })
  const cases = layerCases({
    layer: lvm,
    examples: [
      { name: 'one physical volume', ...one, full: mib(64), roomy: mib(96) },
      { name: 'metadata at the end', ...trailing, full: mib(64), roomy: mib(96) },
    ],
    others: [
      { name: 'a physical volume', device: one.snapshot.devices[1] ?? one.device, snapshot: one.snapshot },
      {
        name: 'a LUKS mapping',
        device: deviceOf({ id: '1:1', name: 'dm-9', path: '/dev/dm-9', attributes: { 'dm/uuid': 'CRYPT-LUKS1-abc' } }),
        snapshot: one.snapshot,
      },
    ],
  })
  test.each(cases)('$name', ({ run }) => run())
})

describe('one physical volume', () => {
  test('is resized first, and then gives all of its extents', () => {
    const growth = grow(full)
    expect(growth).toMatchObject({
      after: mib(92),
      findings: [],
      summary: 'pvresize /dev/loop0, lvextend data/w to 23 extents',
    })
    expect(commands(growth)).toEqual([pvresize('/dev/loop0'), lvextend(23, '/dev/loop0')])
    expect(growth.commands).toEqual(
      growth.commands.map(() => expect.objectContaining({ detached: true, lock: ['/dev/loop0'] })),
    )
    expect(growth.tools.map(({ name }) => name)).toEqual(['lvm', 'flock'])
  })

  test('that was resized before a run died gives what it has', () => {
    expect(commands(grow({ pv: [{ pv_pe_count: '23' }], below: { size: mib(96) } }))).toEqual([
      lvextend(23, '/dev/loop0'),
    ])
  })

  test('gives as much as was asked for, in whole extents, and no more', () => {
    const growth = grow(full, { wanted: 63 })
    expect(growth.after).toBe(mib(64))
    expect(commands(growth)).toEqual([pvresize('/dev/loop0'), lvextend(16, '/dev/loop0')])
    expect(grow(full, { wanted: 60 })).toMatchObject({ after: mib(60), commands: [], findings: [] })
    // The rest is the core's to refuse.
    expect(grow(full, { wanted: 500 }).after).toBe(mib(92))
  })

  test('is not resized for what is there already', () => {
    const growth = grow({}, { wanted: 20 })
    expect(growth.after).toBe(mib(20))
    expect(commands(grow({}, { to: [64], wanted: 20 }))).toEqual([lvextend(5, '/dev/loop0')])
  })

  test('keeps its second metadata area at the end', () => {
    const details = { ...full, trailing: mib(1), pv: [{ pv_pe_alloc_count: '15', pv_mda_count: '2' }] }
    // 1 MiB before the extents and 1 MiB behind them.
    expect(grow(details, { to: [93] }).after).toBe(mib(88))
    expect(grow(details, { to: [94] }).after).toBe(mib(92))
    expect(grow(full, { to: [93] }).after).toBe(mib(92))
  })

  test('less than an extent is nothing to do', () => {
    // 63 MiB behind the first one are fifteen extents of 4 MiB, and most of a sixteenth.
    expect(grow(full, { to: [64] })).toMatchObject({ after: mib(60), commands: [], findings: [] })
  })

  test('the same volume on the same physical volume is expected right before', () => {
    const items = grow(full).expect
    expect(items).toContainEqual({
      expect: { read: 'file', path: '/sys/dev/block/254:0/dm/uuid' },
      equals: mappingUuid,
    })
    expect(items).toContainEqual({ expect: { read: 'file', path: '/sys/dev/block/254:0/dm/name' }, equals: 'data-w' })
    expect(items).toContainEqual({
      expect: { read: 'range', path: '/dev/loop0', offset: 544n, length: 32 },
      equals: Buffer.from('mGFhbReUmLlOO9yXNZt296W9CbiTMAV7').toString('hex'),
    })
  })

  test('what LVM has committed and the kernel has not is loaded first', () => {
    const growth = grow({ ...full, mapping: { size: mib(40) } }, { to: [64] })
    expect(growth.after).toBe(mib(60))
    expect(commands(growth)).toEqual(['lvm lvchange --config backup { archive=0 } --refresh data/w'])
  })
})

describe('two physical volumes', () => {
  const two: Details = {
    pv: [{ pv_pe_alloc_count: '15' }, { pv_pe_alloc_count: '5' }],
    lv: { lv_size: `${20n * 4_194_304n}` },
  }

  test('extents come from the one that grows', () => {
    expect(commands(grow(two, { to: [96, 64] }))).toEqual([pvresize('/dev/loop0'), lvextend(28, '/dev/loop0')])
  })

  test('with a volume, from the one that is on it: also when it was resized before a run died', () => {
    const growth = grow(
      { ...two, pv: [{ pv_pe_count: '23', pv_pe_alloc_count: '15' }, { pv_pe_alloc_count: '5' }] },
      { to: [96, 64], onVolume: ['7:0'] },
    )
    expect(commands(growth)).toEqual([lvextend(28, '/dev/loop0')])
  })

  test('both grow', () => {
    expect(commands(grow(two, { to: [96, 96] }))).toEqual([
      pvresize('/dev/loop0'),
      pvresize('/dev/loop1'),
      lvextend(20 + 8 + 18, '/dev/loop0', '/dev/loop1'),
    ])
  })

  test('none grows: what is free stays so, and is told of', () => {
    const growth = grow(two, { to: [64, 64] })
    expect(growth).toMatchObject({ after: mib(80), commands: [] })
    expect(growth.findings).toEqual([expect.objectContaining({ severity: 'note', code: 'extents-elsewhere' })])
  })

  test('room elsewhere has to be allowed', () => {
    const growth = grow(two, { to: [96, 64], wanted: 120 })
    expect(commands(growth)).toEqual([pvresize('/dev/loop0'), lvextend(30, '/dev/loop0', '/dev/loop1')])
    expect(messages(growth)).toEqual([expect.stringMatching(/^extents-elsewhere: .*\/dev\/loop1/)])
    expect(applyAcceptance(growth.findings, ['extents-elsewhere'])).toEqual([
      expect.objectContaining({ severity: 'warning', accepted: true }),
    ])
    expect(messages(grow(two, { to: [96, 64], wanted: 112 }))).toEqual([])
  })

  test('when only their sum is known, and that has changed, nothing is guessed', () => {
    const { device, snapshot } = storage(two)
    const growth = lvm.grow(device, snapshot, { available: mib(160), offline: false })
    expect(messages(growth)).toEqual([expect.stringMatching(/^ambiguous/)])
    expect(lvm.grow(device, snapshot, { available: mib(128), offline: false }).commands).toEqual([])
    expect(messages(lvm.grow(device, snapshot, { available: mib(100), offline: false }))).toEqual([
      expect.stringMatching(/^identity-mismatch/),
    ])
  })
})

describe('striped', () => {
  const striped: Details = {
    pv: [{ pv_pe_alloc_count: '15' }, { pv_pe_alloc_count: '15' }],
    lv: { lv_size: `${30n * 4_194_304n}` },
    seg: { segtype: 'striped', stripes: '2', seg_pe_ranges: '/dev/loop0:0-14 /dev/loop1:0-14' },
  }

  test('grows by what every leg has', () => {
    expect(commands(grow(striped, { to: [96, 80] }))).toEqual([
      pvresize('/dev/loop0'),
      pvresize('/dev/loop1'),
      lvextend(38, '/dev/loop0', '/dev/loop1'),
    ])
    expect(grow(striped, { to: [96, 96], wanted: 121 }).after).toBe(mib(128))
  })

  test('is refused without room on every leg, and let be without room on any', () => {
    expect(messages(grow(striped, { to: [96, 64] }))).toEqual([
      expect.stringMatching(/^unsupported-feature: .*striped over \/dev\/loop0 and \/dev\/loop1/),
    ])
    expect(grow(striped, { to: [64, 64] })).toMatchObject({ findings: [], commands: [] })
  })

  test('takes what is free on its legs only for what was asked for, and when that is allowed', () => {
    const roomy: Details = {
      ...striped,
      pv: [{ pv_pe_alloc_count: '10' }, { pv_pe_alloc_count: '10' }],
      lv: { lv_size: `${20n * 4_194_304n}` },
      seg: { segtype: 'striped', stripes: '2', seg_pe_ranges: '/dev/loop0:0-9 /dev/loop1:0-9' },
    }
    const { device, snapshot } = storage(roomy)
    expect(lvm.granularity?.(device, snapshot)).toBe(mib(8))
    const growth = grow(roomy, { to: [64, 64], wanted: 90 })
    expect(commands(growth)).toEqual([lvextend(24, '/dev/loop0', '/dev/loop1')])
    expect(messages(growth)).toEqual([expect.stringMatching(/^extents-elsewhere: .*loop0 and .*loop1/)])
    // The leg that grows is taken from without a word; five extents are free on the other one.
    expect(messages(grow(roomy, { to: [96, 64], wanted: 90 }))).toEqual([
      expect.stringMatching(/^extents-elsewhere: .*free extents of \/dev\/loop1 /),
    ])
    expect(grow(roomy, { to: [64, 64], wanted: 500 }).after).toBe(mib(120))
  })
})

describe('refuses what would have to grow, and lets it be when there is nothing to do', () => {
  const log = ['WARNING: Not using device /dev/loop9 for PV mGFhbR-eUmL-lOO9-yXNZ-t296-W9Cb-iTMAV7.']
  const namesake = (JSON.parse(reportOf()) as { report: readonly object[] }).report[0] ?? {}
  const lv = (more: Readonly<Record<string, string>>): Details => ({ ...full, lv: { ...full.lv, ...more } })
  const vg = (more: Readonly<Record<string, string>>): Details => ({ ...full, vg: more })
  const pv = (more: Readonly<Record<string, string>>): Details => ({
    ...full,
    pv: [{ pv_pe_alloc_count: '15', ...more }],
  })
  const refused: readonly [string, Details, RegExp][] = [
    [
      'the origin of a snapshot',
      lv({ lv_attr: 'owi-XXs---' }),
      /^unsupported-feature: data-w is the origin of a snapshot/,
    ],
    ['a snapshot', lv({ lv_attr: 'swi-XXs---' }), /^unsupported-feature: .*is a snapshot/],
    ['a RAID volume', lv({ lv_attr: 'rwi-XXr-X-' }), /^unsupported-feature: .*RAID volume.*every leg/],
    ['a mirror', lv({ lv_attr: 'mwi-XXm---' }), /^unsupported-feature: .*mirror/],
    ['a thin volume', lv({ lv_attr: 'Vwi-XXtz--' }), /^unsupported-feature: .*thin or VDO/],
    ['a cached volume', lv({ lv_attr: 'Cwi-XXC---' }), /^unsupported-feature: .*cached/],
    ['a volume of an unknown kind', lv({ lv_attr: '?wi-XX----' }), /^unsupported-feature: .*not handled/],
    ['a volume of an unknown type', { ...full, seg: { segtype: 'writecache' } }, /^unsupported-feature: .*writecache/],
    [
      'a volume that pvmove moves',
      { ...full, seg: { seg_pe_ranges: 'pvmove0:0-2' } },
      /^unsupported-feature: .*other logical volumes/,
    ],
    [
      'part of a pool',
      { ...full, mapping: { attributes: { 'dm/name': 'data-w_tdata', 'dm/uuid': `${mappingUuid}-tdata` } } },
      /^unsupported-feature: .*part of a thin pool/,
    ],
    [
      'a leg of a RAID',
      {
        ...full,
        mapping: { attributes: { 'dm/name': 'data-r_rimage_0', 'dm/uuid': mappingUuid.replace('tNh8UA', 'tNh8UB') } },
      },
      /^unsupported-feature: .*part of a RAID volume/,
    ],
    ['a locked allocation', lv({ lv_attr: '-wI-XX----' }), /^wrong-state: .*pvmove/],
    ['a contiguous allocation', lv({ lv_allocation_policy: 'contiguous' }), /^unsupported-feature: .*contiguously/],
    ['a read-only volume', lv({ lv_attr: '-ri-XX----' }), /^read-only: data\/w/],
    ['an exported group', vg({ vg_exported: 'exported' }), /^wrong-state: .*exported/],
    ['an incomplete group', vg({ vg_partial: 'partial' }), /^wrong-state: .*missing/],
    ['a shared group', vg({ vg_shared: 'shared' }), /^unsupported-feature: .*shared/],
    ['a clustered group', vg({ vg_clustered: 'clustered' }), /^unsupported-feature: .*shared/],
    ['a read-only group', vg({ vg_permissions: 'read-only' }), /^read-only: .*group/],
    [
      'a group whose name is there twice',
      {
        ...full,
        further: [{ ...namesake, vg: [{ ...(namesake as { vg: readonly object[] }).vg[0], vg_uuid: 'other' }] }],
      },
      /^duplicate-uuid: .*2 volume groups/,
    ],
    ['a copy of a disk', { ...full, log }, /^duplicate-uuid: \/dev\/loop9/],
    ['a physical volume that is closed to allocation', pv({ pv_allocatable: '' }), /^wrong-state: .*\/dev\/loop0/],
    [
      'a physical volume that is missing',
      {
        ...full,
        pv: [
          { pv_pe_alloc_count: '15' },
          { pv_missing: 'missing', pv_name: '[unknown]', pv_major: '0', pv_minor: '0' },
        ],
        mapping: { below: ['7:0'] },
      },
      /^wrong-state: .*missing/,
    ],
    [
      'a suspended volume',
      { ...full, mapping: { attributes: { 'dm/name': 'data-w', 'dm/uuid': mappingUuid, 'dm/suspended': '1' } } },
      /^wrong-state: .*suspended/,
    ],
    [
      'a label that cannot be read',
      { ...full, below: { probe: { ok: true, value: [] } } },
      /^unknown-content: .*label/,
    ],
  ]
  test.each(refused)('%s', (_, details, message) => {
    const growth = grow(details)
    expect(messages(growth)).toContainEqual(expect.stringMatching(message))
    expect(growth.findings.every(({ severity, remedy }) => severity === 'blocker' && /\w/.test(remedy ?? ''))).toBe(
      true,
    )
    expect(growth).toMatchObject({ after: mib(60), commands: [] })
    expect(grow(details, { to: [64] })).toMatchObject({ after: mib(60), findings: [], commands: [] })
  })

  test('a volume that would have to be larger than it may be by its own', () => {
    expect(messages(grow(lv({ lv_attr: 'Vwi-XXtz--' }), { to: [64], wanted: 100 }))).toEqual([
      expect.stringMatching(/^unsupported-feature/),
    ])
  })
})

describe('refuses in any case', () => {
  test.each([
    ['no report', undefined, 'unsupported-feature'],
    ['no LVM', { ok: false, errno: 'ENOENT', message: 'the program lvm is missing' }, 'tool-missing'],
    ['a report that is cut off', { ok: true, value: '{"report": [' }, 'unsupported-feature'],
    ['a report without the group', { ok: true, value: '{"report": []}' }, 'unsupported-feature'],
  ] as const)('%s', (_, lvmRead, code) => {
    const { device, snapshot } = storage(full)
    const { lvm: __, ...without } = snapshot
    const given = lvmRead === undefined ? without : { ...without, lvm: lvmRead }
    const growth = lvm.grow(device, given, { available: mib(96), offline: false })
    expect(growth.findings).toEqual([expect.objectContaining({ code, severity: 'blocker' })])
    expect(growth.commands).toEqual([])
    expect(lvm.measure(device, given).size).toBe(mib(60))
  })

  test('a volume that the kernel shows larger than its metadata say', () => {
    expect(messages(grow({ ...full, mapping: { size: mib(64) } }))).toEqual([
      expect.stringMatching(/^identity-mismatch/),
    ])
  })

  test('a group that LVM has on other disks than the kernel', () => {
    expect(messages(grow({ ...full, pv: [{ pv_pe_alloc_count: '15', pv_minor: '9' }] }))).toEqual([
      expect.stringMatching(/^identity-mismatch: data-w is on \/dev\/loop0/),
    ])
  })
})

test('never less than it has, never more than there is, and nothing twice', () => {
  const size = fc.integer({ min: 0, max: 400 })
  fc.assert(
    fc.property(size, size, fc.option(size, { nil: undefined }), fc.boolean(), (first, second, wanted, marked) => {
      const details: Details = {
        pv: [{ pv_pe_alloc_count: '15' }, { pv_pe_alloc_count: '5' }],
        lv: { lv_size: `${mib(80)}` },
      }
      const asked = wanted === undefined || wanted === 0 ? {} : { wanted }
      const growth = grow(details, { to: [first, second], ...asked, ...(marked ? { onVolume: ['7:0'] } : {}) })
      expect(growth.after).toBeGreaterThanOrEqual(mib(80))
      expect(growth.after <= mib(first + second) || growth.after === mib(80)).toBe(true)
      if (first < 61 || second < 61) expect(growth.commands).toEqual([])
      expect(new Set(commands(growth)).size).toBe(growth.commands.length)
    }),
  )
})

function reportOf(): string {
  const { snapshot } = storage(full)
  return snapshot.lvm?.ok === true ? snapshot.lvm.value : ''
}
