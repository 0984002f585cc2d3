import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { gcePd } from '../../../providers/gce-pd/index.ts'
import { expand, growBackend, observeBackend, pipeline, snapshotBefore } from '../../../src/index.ts'
import { type ComputeEmulator, startCompute } from '../../../src/testing/compute/index.ts'
import type { OfficialClients } from '../../testing/compute/official-client.ts'
import { failureOf, zone } from './world.ts'

// The official client takes seconds to load, and much longer on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let connect: (port: number, project: string) => OfficialClients
beforeAll(async () => {
  connect = (await import('../../testing/compute/official-client.ts')).officialClients
})

const emulators: ComputeEmulator[] = []
afterEach(async () => {
  for (const emulator of emulators.splice(0)) await emulator.stop()
})

async function made(): Promise<ComputeEmulator> {
  const emulator = await startCompute({
    operationTime: 50,
    disks: [
      { name: 'd1', zone, sizeGb: 10, attachments: [{ instance: 'vm' }] },
      { name: 'd2', zone, sizeGb: 10 },
      { name: 'h1', zone, sizeGb: 4, type: 'hyperdisk-balanced' },
      { name: 'r1', region: 'europe-west1', sizeGb: 200 },
    ],
  })
  emulators.push(emulator)
  return emulator
}

describe('through @google-cloud/compute', () => {
  test('disks, Hyperdisks and regional disks grow, with one change each', async () => {
    const emulator = await made()
    const { project } = emulator
    const provider = gcePd({ project, client: connect(emulator.port, project) })
    const growing = [
      [{ zone, disk: 'd1' }, '20Gi'],
      [{ zone, disk: 'd2' }, '20Gi'],
      [{ zone, disk: 'h1' }, '20Gi'],
      [{ region: 'europe-west1', disk: 'r1' }, '300Gi'],
    ] as const
    await Promise.all(growing.map(([ref, to]) => expand({ volume: provider.volume(ref), to })))
    const sizes = [
      `zones/${zone}/disks/d1`,
      `zones/${zone}/disks/d2`,
      `zones/${zone}/disks/h1`,
      'regions/europe-west1/disks/r1',
    ]
    expect(sizes.map((disk) => emulator.sizeOf(disk))).toEqual([20, 20, 20, 300])
    expect(emulator.mutations).toHaveLength(4)
  })

  test('a snapshot is made before a disk grows, once, and the report names it', async () => {
    const emulator = await made()
    const { project } = emulator
    const volume = gcePd({ project, client: connect(emulator.port, project) }).volume({ zone, disk: 'd1' })
    const grow = pipeline().use(observeBackend()).use(snapshotBefore()).use(growBackend())
    const methods = (): readonly string[] => emulator.mutations.map(({ method }) => method)
    expect(await grow.run({ volume, to: '10Gi' })).toMatchObject({ changed: false, actions: [] })
    emulator.faults.add('disks.createSnapshot', { kind: 'lost-answer' })
    const report = await grow.run({ volume, to: '20Gi' })
    expect(methods()).toEqual(['createSnapshot', 'resize'])
    expect(emulator.sizeOf(`zones/${zone}/disks/d1`)).toBe(20)
    expect(report.actions[0]).toMatchObject({
      ...{ status: 'done', layer: 'volume' },
      details: { snapshot: expect.stringMatching(/^before-growth-/) },
    })
    emulator.deny('compute.disks.createSnapshot')
    const error = await failureOf(grow.run({ volume, to: '30Gi' }))
    expect(error).toMatchObject({
      ...{ code: 'permission-denied', outcome: 'unchanged' },
      remedy: expect.stringContaining('compute.disks.createSnapshot'),
    })
    expect(methods()).toHaveLength(2)
  })

  test('its failures have our codes', async () => {
    const emulator = await made()
    const { project } = emulator
    const volume = gcePd({ project, client: connect(emulator.port, project) }).volume({ zone, disk: 'd1' })
    emulator.faults.add('disks.resize', { kind: 'operation-error', code: 'QUOTA_EXCEEDED' })
    expect(await failureOf(expand({ volume, to: '20Gi' }))).toMatchObject({
      code: 'quota-exceeded',
      outcome: 'unchanged',
    })
    emulator.faults.add('disks.resize', { kind: 'lost-answer' })
    await expand({ volume, to: '30Gi' })
    expect(emulator.mutations.map(({ sizeGb }) => sizeGb)).toEqual([20, 30])
    emulator.deny('compute.disks.resize')
    expect(await failureOf(expand({ volume, to: '40Gi' }))).toMatchObject({
      code: 'permission-denied',
      outcome: 'unchanged',
    })
    emulator.removeDisk(`zones/${zone}/disks/d1`)
    expect(await failureOf(expand({ volume, to: '40Gi' }))).toMatchObject({ code: 'not-found' })
  })

  test('a client that was not given is named', async () => {
    const emulator = await made()
    const { disks } = connect(emulator.port, emulator.project)
    const volume = gcePd({ project: emulator.project, client: { disks } }).volume({ zone, disk: 'd1' })
    const error = await failureOf(expand({ volume, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'tool-missing', remedy: expect.stringContaining('zoneOperations') })
  })
})

test('the provider’s own client, through the factory', async () => {
  const emulator = await made()
  const settings = { project: emulator.project, endpoint: emulator.url, credentials: () => 'token' }
  await expand({ volume: gcePd(settings).volume(`projects/${emulator.project}/zones/${zone}/disks/d1`), to: '20Gi' })
  expect(emulator.sizeOf(`zones/${zone}/disks/d1`)).toBe(20)
  expect(gcePd(settings).volume({ zone, disk: 'd1' }).label).toBe(`test-project/zones/${zone}/disks/d1`)
  expect(() => gcePd({ project: '' })).toThrow(TypeError)
})
