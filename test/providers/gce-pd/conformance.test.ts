import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { restClient } from '../../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../../providers/gce-pd/expander.ts'
import type { GcePdOptions } from '../../../providers/gce-pd/performance.ts'
import type { GceDiskRef } from '../../../providers/gce-pd/refs.ts'
import { type ProviderSetup, providerCases } from '../../../src/conformance/index.ts'
import { httpClient } from '../../../src/services/http.ts'
import { GiB } from '../../../src/size.ts'
import { type ComputeEmulator, startCompute } from '../../../src/testing/compute/index.ts'

const project = 'test-project'
const zone = 'us-central1-f'
const token = 'ya29.canary/of+an-access-token'
let emulator: ComputeEmulator
let disks = 0
const http = httpClient({ provider: 'gce-pd' })

// One for each case: the ids of the suite's requests begin anew with each, and an id means one request.
beforeEach(async () => {
  emulator = await startCompute({ project, operationTime: 30 })
})
afterEach(() => emulator.stop())
afterAll(() => http.close())

function setupOf(
  place: { readonly zone: string } | { readonly region: string },
): () => ProviderSetup<GceDiskRef, GcePdOptions> {
  const path = 'zone' in place ? `zones/${place.zone}` : `regions/${place.region}`
  return () => ({
    expander: gcePdExpander(
      restClient({ id: `${emulator.url}-${path}`, endpoint: emulator.url, credentials: () => token, http }),
      project,
    ),
    volume: async () => {
      disks += 1
      const name = `disk-${disks}`
      const attachments = disks % 2 === 0 ? [{ instance: `instance-${disks}`, deviceName: `data-${disks}` }] : []
      emulator.setDisk({ name, ...place, sizeGb: 10, attachments })
      const key = `${path}/disks/${name}`
      return {
        ref: { ...place, disk: name },
        spellings: [
          `projects/${project}/${key}`,
          `https://www.googleapis.com/compute/v1/projects/${project}/${key}`,
          { ...place, project, disk: name },
        ],
        measure: async () => BigInt(emulator.sizeOf(key)) * GiB,
        grow: async (size) => emulator.growDisk(key, Number(size / GiB)),
      }
    },
    missing: { ...place, disk: 'missing' },
    missingSnapshot: 'missing',
    loseAnswer: () =>
      emulator.faults.add('zone' in place ? 'disks.resize' : 'regionDisks.resize', { kind: 'lost-answer' }),
    secrets: [token],
    malformed: [
      '',
      'disk-1',
      `projects/${project}/zones/${zone}`,
      `projects/${project}/zones/${zone}/disks/d/../e`,
      `projects/${project}/zones/${zone}/disks/UPPER`,
      { disk: 'disk-1' },
      { zone, region: 'us-central1', disk: 'disk-1' },
      { zone, disk: 'a b' },
      { zone: '../x', disk: 'disk-1' },
      { zone },
      42,
      null,
      [],
    ],
    pause: () => new Promise((resolve) => setTimeout(resolve, 10)),
    persistentVolumes: async () => {
      const key = `${path}/disks/pv`
      const csi = { driver: 'pd.csi.storage.gke.io' }
      const zones = 'zone' in place ? [place.zone] : [`${place.region}-a`, `${place.region}-b`]
      const terms = [{ matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: zones }] }]
      const gcePersistentDisk = { pdName: 'pv' }
      const ref = { ...place, disk: 'pv' }
      return [
        { ref, persistentVolume: { spec: { csi: { ...csi, volumeHandle: `projects/${project}/${key}` } } } },
        { ref, persistentVolume: { spec: { csi: { ...csi, volumeHandle: `projects/UNSPECIFIED/${key}` } } } },
        {
          ref,
          persistentVolume: { spec: { gcePersistentDisk, nodeAffinity: { required: { nodeSelectorTerms: terms } } } },
        },
        {
          ref,
          persistentVolume: {
            metadata: { labels: { 'failure-domain.beta.kubernetes.io/zone': zones.join('__') } },
            spec: { gcePersistentDisk },
          },
        },
      ]
    },
  })
}

describe.each([
  ['zonal disks', setupOf({ zone })],
  ['regional disks', setupOf({ region: 'us-central1' })],
])('%s', (_name, setup) => {
  // The names of the cases depend on no emulator; each case gets the running one.
  const names = providerCases(placeholder()).filter(({ skip }) => skip === undefined)
  test.each(names.map(({ name }) => name))('%s', async (name) => {
    const found = providerCases(setup()).find((each) => each.name === name)
    if (found === undefined) throw new Error(`There is no case ${name}.`)
    await found.run()
  })

  test('leaves out only what needs a host or parts', () => {
    const reasons = providerCases(placeholder()).flatMap(({ skip }) => skip ?? [])
    expect(reasons).toEqual(['the setup has no host', 'the provider has no parts'])
  })
})

function placeholder(): ProviderSetup<GceDiskRef, GcePdOptions> {
  const client = { id: 'none', send: () => Promise.reject(new Error('not asked')) }
  const expander = gcePdExpander(client, project)
  return {
    expander,
    volume: () => Promise.reject(new Error('not made')),
    missing: '',
    missingSnapshot: '',
    loseAnswer: () => {},
    secrets: [],
    malformed: [],
    persistentVolumes: async () => [],
  }
}
