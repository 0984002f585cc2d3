import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DeviceSnapshot } from '../../../src/hosts/host.ts'
import { device } from '../../../src/layers/device/index.ts'
import type { Growth } from '../../../src/layers/layer.ts'
import { type Bytes, MiB } from '../../../src/size.ts'
import { allCapabilities, deviceOf, image, loopOf, mib, snapshotOf, virtio } from './snapshots.ts'

function grow(candidate: DeviceSnapshot, available: bigint, capabilities: bigint = allCapabilities): Growth {
  return device.grow(candidate, snapshotOf([candidate], capabilities), {
    available: available as Bytes,
    offline: false,
    backendUsers: { known: true, others: [] },
  })
}

const codes = ({ findings }: Growth): readonly string[] => findings.map(({ code, severity }) => `${severity} ${code}`)

describe('detect', () => {
  test.each([
    ['a disk', virtio, true],
    ['a loop device', loopOf(), true],
    ['an image file', image, true],
    ['a partition', deviceOf({ id: '8:1', name: 'sda1', path: '/dev/sda1', below: ['8:0'] }), false],
    [
      'a partition whose disk is not shown',
      deviceOf({ id: '8:1', name: 'sda1', path: '/dev/sda1', attributes: { partition: '1' } }),
      false,
    ],
    [
      'a device-mapper target without a device',
      deviceOf({ id: '252:0', name: 'dm-0', path: '/dev/dm-0', attributes: { 'dm/uuid': 'LVM-1' } }),
      false,
    ],
    ['an array', deviceOf({ id: '9:0', name: 'md0', path: '/dev/md0', attributes: { 'md/level': 'raid1' } }), false],
  ])('%s', (_, candidate, expected) => {
    expect(device.detect(candidate, snapshotOf([candidate]))).toBe(expected)
  })
})

test('measures what a plan is held to', () => {
  const state = device.measure(loopOf(), snapshotOf([loopOf()]))
  expect(state).toEqual({
    id: 'device:7:0',
    kind: 'device',
    label: '/dev/loop0',
    size: mib(64),
    below: [],
    identity: { device: '7:0', diskseq: '13', 'loop/backing_file': '/srv/a disk.img' },
    facts: { transport: 'loop', readOnly: false },
  })
})

describe('a loop device', () => {
  test('is told to look at its file again, after it was seen to be the same', () => {
    expect(grow(loopOf(), mib(80))).toMatchObject({
      after: mib(80),
      findings: [],
      commands: [{ exec: ['losetup', '--set-capacity', '/dev/loop0'] }],
      expect: [
        { expect: { read: 'file', path: '/sys/class/block/loop0/dev' }, equals: '7:0' },
        { expect: { read: 'file', path: '/sys/class/block/loop0/diskseq' }, equals: '13' },
        { expect: { read: 'file', path: '/sys/class/block/loop0/loop/backing_file' }, equals: '/srv/a disk.img' },
        { expect: { read: 'file', path: '/sys/class/block/loop0/loop/offset' }, equals: '0' },
        { expect: { read: 'file', path: '/sys/class/block/loop0/loop/sizelimit' }, equals: '0' },
      ],
    })
  })

  test('is known by its file where the kernel has no diskseq', () => {
    const { diskseq: _, ...attributes } = loopOf().attributes
    const paths = grow({ ...loopOf(), attributes }, mib(80)).expect.map(({ expect }) => expect.path)
    expect(paths).toContain('/sys/class/block/loop0/loop/backing_file')
    expect(paths).not.toContain('/sys/class/block/loop0/diskseq')
  })

  test('shows what is behind its offset', () => {
    expect(grow(loopOf({ 'loop/offset': `${MiB}` }), mib(80)).after).toBe(mib(79))
    expect(codes(grow(loopOf({ 'loop/offset': `${MiB}` }), mib(64)))).toEqual(['blocker identity-mismatch'])
  })

  test('shows whole sectors', () => {
    expect(grow(loopOf(), mib(80) + 1023n).after).toBe(mib(80) + 512n)
    expect(grow(loopOf(), mib(64) + 511n)).toMatchObject({ after: mib(64), commands: [], findings: [] })
  })

  test('cannot grow beyond its size limit', () => {
    expect(codes(grow(loopOf({ 'loop/sizelimit': `${mib(64)}` }), mib(80)))).toEqual(['blocker limit-exceeded'])
    expect(grow(loopOf({ 'loop/sizelimit': `${mib(80)}` }), mib(80))).toMatchObject({ after: mib(80), findings: [] })
  })

  test('cannot grow without CAP_SYS_ADMIN, and needs none when there is nothing to do', () => {
    const growth = grow(loopOf(), mib(80), allCapabilities & ~(1n << 21n))
    expect(codes(growth)).toEqual(['blocker permission-denied'])
    expect(growth.findings[0]?.message).toContain('CAP_SYS_ADMIN')
    expect(codes(grow(loopOf(), mib(64), 0n))).toEqual([])
  })

  test('is not grown when it is read-only', () => {
    const growth = grow(loopOf({}, { readOnly: true }), mib(80))
    expect(codes(growth)).toEqual(['blocker read-only'])
    expect(growth.commands).toEqual([])
  })
})

test('an image file is the volume itself', () => {
  expect(grow(image, mib(80))).toEqual({ after: mib(80), findings: [], expect: [], commands: [], tools: [] })
})

test('any other disk is waited for', () => {
  const growth = grow(virtio, mib(80))
  expect(growth).toMatchObject({
    after: mib(80),
    commands: [],
    settles: true,
    summary: 'wait until /dev/vda shows 80 MiB',
  })
})

test('without a volume a device is as large as it is', () => {
  const candidate = loopOf({ 'loop/offset': `${MiB}` })
  const context = { available: candidate.size, offline: false }
  expect(device.grow(candidate, snapshotOf([candidate]), context)).toMatchObject({
    after: mib(64),
    findings: [],
    commands: [],
  })
})

test('never below its size, whatever its volume is said to have', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(loopOf(), virtio, image),
      fc.bigInt({ min: 0n, max: 2n ** 60n }),
      (candidate, available) => {
        const { after, findings, commands, settles } = grow(candidate, available)
        expect(after).toBeGreaterThanOrEqual(candidate.size)
        expect(after <= available || after === candidate.size).toBe(true)
        if (available >= candidate.size) return
        expect(findings.map(({ code }) => code)).toEqual(['identity-mismatch'])
        expect(commands).toEqual([])
        expect(settles).toBeUndefined()
      },
    ),
  )
})
