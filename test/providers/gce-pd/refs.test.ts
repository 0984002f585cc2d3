import { describe, expect, test } from 'vitest'
import { diskNameOf, keyOf, refOfPersistentVolume } from '../../../providers/gce-pd/refs.ts'

const zone = 'europe-west1-b'

describe('refs', () => {
  test.each([
    [{ zone, disk: 'd1' }, 'p1', `zones/${zone}/disks/d1`],
    [{ region: 'europe-west1', disk: 'd1' }, 'p1', 'regions/europe-west1/disks/d1'],
    [`projects/other/zones/${zone}/disks/d1`, 'other', `zones/${zone}/disks/d1`],
    [
      `https://compute.googleapis.com/compute/v1/projects/other/zones/${zone}/disks/d1`,
      'other',
      `zones/${zone}/disks/d1`,
    ],
    [
      'https://www.googleapis.com/compute/v1/projects/example.com:p2/regions/r1/disks/d1',
      'example.com:p2',
      'regions/r1/disks/d1',
    ],
  ])('%j', (ref, project, key) => {
    const name = diskNameOf(ref, 'p1')
    expect([name.project, keyOf(name)]).toEqual([project, key])
  })

  test.each([
    { disk: 'd1' },
    { zone, disk: 'd1', interface: 'IDE' },
    { zone, disk: 'd1', deviceName: 'a/b' },
    { zone, disk: 'd1|d2' },
    { zone, disk: `d${'1'.repeat(63)}` },
    { zone, project: 'a/b', disk: 'd1' },
    `projects/p1/zones/${zone}/disks/d1/resize`,
    `projects/p1/zones/${zone}/disks/d%31`,
  ])('%j is refused', (ref) => {
    expect(() => diskNameOf(ref, 'p1')).toThrow(
      expect.objectContaining({ code: 'invalid-reference', outcome: 'unchanged' }),
    )
  })
})

describe('PersistentVolumes', () => {
  test('without a zone the disk is refused for just that', () => {
    const ref = refOfPersistentVolume({ spec: { gcePersistentDisk: { pdName: 'd1' } } })
    expect(ref).toEqual({ disk: 'd1' })
    expect(() => diskNameOf(ref, 'p1')).toThrow(/neither a zone nor a region/)
  })

  test('two zones are a regional disk', () => {
    const metadata = { labels: { 'topology.kubernetes.io/zone': 'europe-west1-b__europe-west1-c' } }
    const ref = refOfPersistentVolume({ metadata, spec: { gcePersistentDisk: { pdName: 'd1' } } })
    expect(ref).toEqual({ region: 'europe-west1', disk: 'd1' })
  })

  test.each([
    ['zones of two regions', 'europe-west1-b__us-central1-a', undefined],
    ['three zones', 'europe-west1-b__europe-west1-c__europe-west1-d', undefined],
    ['an affinity that says otherwise', 'europe-west1-b', ['europe-west1-c']],
    ['an affinity that is no text', 'europe-west1-b', ['europe-west1-b', null]],
  ])('%s are no place that is known for certain', (_, label, values) => {
    const metadata = { labels: { 'topology.kubernetes.io/zone': label } }
    const matchExpressions = [{ key: 'topology.kubernetes.io/zone', operator: 'In', values }]
    const nodeAffinity = { required: { nodeSelectorTerms: values === undefined ? [] : [{ matchExpressions }] } }
    const ref = refOfPersistentVolume({ metadata, spec: { gcePersistentDisk: { pdName: 'd1' }, nodeAffinity } })
    expect(() => diskNameOf(ref, 'p1')).toThrow(/neither a zone nor a region/)
  })

  test('a handle that names no disk is refused later on', () => {
    const csi = { driver: 'pd.csi.storage.gke.io', volumeHandle: 'nonsense' }
    expect(() => diskNameOf(refOfPersistentVolume({ spec: { csi } }), 'p1')).toThrow(/no link of a disk/)
    expect(refOfPersistentVolume({ spec: { csi: { driver: csi.driver } } })).toBeUndefined()
  })
})
