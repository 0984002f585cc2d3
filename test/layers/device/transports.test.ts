import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DeviceSnapshot } from '../../../src/hosts/host.ts'
import { device } from '../../../src/layers/device/index.ts'
import { transportOf } from '../../../src/layers/device/transports.ts'
import { deviceOf, mib, snapshotOf, virtio } from './snapshots.ts'

const disk = (name: string, attributes: Readonly<Record<string, string>> = {}): DeviceSnapshot =>
  deviceOf({ id: '8:0', name, path: `/dev/${name}`, attributes: { diskseq: '3', ...attributes } })

function grow(candidate: DeviceSnapshot, capabilities?: bigint): ReturnType<typeof device.grow> {
  const context = { available: mib(128), offline: false, backendUsers: { known: true, others: [] } }
  return device.grow(candidate, snapshotOf([candidate], capabilities), context)
}

describe('what is asked for the new size', () => {
  test.each([
    ['sda', 'scsi', '/sys/class/block/sda/device/rescan'],
    ['sdaa', 'scsi', '/sys/class/block/sdaa/device/rescan'],
    ['nvme1n2', 'nvme', '/sys/class/block/nvme1n2/device'],
    ['rbd7', 'rbd', '/sys/bus/rbd/devices/7/refresh'],
  ])('%s: %s', (name, transport, path) => {
    expect(transportOf(disk(name)).name).toBe(transport)
    const growth = grow(disk(name))
    expect(growth).toMatchObject({ after: mib(128), findings: [], settles: true, repeats: true })
    expect(growth.commands.map(({ exec }) => [exec[0], exec[1], exec.at(-1)])).toEqual([['sh', '-c', path]])
  })

  test('an image that is mapped has to be the same image still: the next mapping gets the same name', () => {
    const marks = { 'device/cluster_fsid': 'one', 'device/pool': 'volumes', 'device/image_id': '10ab' }
    const { expect: expected } = grow(disk('rbd7', marks))
    for (const [name, equals] of Object.entries(marks)) {
      expect(expected).toContainEqual({ expect: { read: 'file', path: `/sys/class/block/rbd7/${name}` }, equals })
    }
  })

  test.each([
    ['vda', 'virtio'],
    ['xvda', 'other'],
    ['nbd0', 'other'],
  ])('nothing for %s: the kernel is waited for', (name, transport) => {
    expect(transportOf(disk(name)).name).toBe(transport)
    expect(grow(disk(name))).toMatchObject({ after: mib(128), commands: [], settles: true })
  })

  test('nothing when the size is there already', () => {
    expect(grow({ ...disk('sda'), size: mib(128) })).toMatchObject({ after: mib(128), commands: [] })
  })
})

test('root may write to sysfs without any capability, others may not', () => {
  expect(grow(disk('sda'), 0n).findings).toEqual([])
  const snapshot = snapshotOf([disk('sda')], 0n)
  const other = { ...snapshot, system: { ...snapshot.system, uid: 1000 } }
  const context = { available: mib(128), offline: false, backendUsers: { known: true, others: [] } }
  expect(device.grow(disk('sda'), other, context).findings).toMatchObject([{ code: 'permission-denied' }])
})

test('every mark that sysfs shows is expected again', () => {
  const marks = { serial: 'vol-1 ', wwid: '', 'device/serial': 'S1', 'device/wwid': 'naa.5000' }
  expect(grow(disk('sda', marks)).expect.map(({ expect: { path }, equals }) => `${path} ${equals}`)).toEqual([
    '/sys/class/block/sda/dev 8:0',
    '/sys/class/block/sda/serial vol-1',
    '/sys/class/block/sda/device/serial S1',
    '/sys/class/block/sda/device/wwid naa.5000',
    '/sys/class/block/sda/diskseq 3',
  ])
  expect(grow(virtio).commands).toEqual([])
})

describe('the scripts write into sysfs', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'transports-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  function execute(name: string, path: string): void {
    const [program = '', ...args] = grow(disk(name)).commands[0]?.exec.slice(0, -1) ?? []
    execFileSync(program, [...args, path], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  test('one file of a SCSI disk', () => {
    const file = join(directory, 'rescan $(x)')
    writeFileSync(file, '')
    execute('sda', file)
    expect(readFileSync(file, 'utf8')).toBe('1\n')
  })

  test('the controller of a namespace, or every one of its subsystem', () => {
    const controllers = ['.', 'nvme0', 'nvme1'].map((name) => join(directory, name, 'rescan_controller'))
    for (const [index, file] of controllers.entries()) {
      if (index > 0) mkdirSync(join(file, '..'))
      writeFileSync(file, '')
    }
    execute('nvme0n1', directory)
    expect(controllers.map((file) => readFileSync(file, 'utf8'))).toEqual(['1\n', '1\n', '1\n'])
  })

  test('and fail where there is nothing to ask', () => {
    expect(() => execute('nvme0n1', directory)).toThrow(/nothing to ask/)
    expect(() => execute('sda', join(directory, 'missing'))).toThrow(/nothing to ask/)
  })
})
