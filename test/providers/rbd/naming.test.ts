import { describe, expect, test } from 'vitest'
import { rbd } from '../../../providers/rbd/index.ts'
import { parseExact } from '../../../providers/rbd/json.ts'
import { ownerOf } from '../../../providers/rbd/owner.ts'
import { fromPersistentVolume } from '../../../providers/rbd/persistent-volume.ts'
import { imageName, specOf } from '../../../providers/rbd/ref.ts'
import { hintsOf } from '../../../providers/rbd/state.ts'
import type { VolumeState } from '../../../src/expander.ts'
import { bytes } from '../../../src/size.ts'

const uuid = '3c0f0a0e-7c35-4f0e-9d5b-6b1f5a5d3b11'

describe('refs', () => {
  test.each([
    ['volumes/a', 'volumes/a'],
    ['volumes/ns/a', 'volumes/ns/a'],
    [{ pool: 'volumes', image: 'a' }, 'volumes/a'],
    [{ pool: 'volumes', namespace: '', image: 'a' }, 'volumes/a'],
    [{ pool: 'volumes', namespace: 'ns', image: '-- $(x)' }, 'volumes/ns/-- $(x)'],
  ])('%j is %s', (ref, spec) => {
    expect(specOf(imageName(ref))).toBe(spec)
    expect(rbd().volume(ref)).toMatchObject({ provider: 'rbd', label: spec })
  })

  test.each([
    'a',
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a/b/c/d',
    'a/b@c',
    'a@b/c',
    'a/b\n',
    'a/\ud800',
    { pool: 'a' },
    { pool: 'a', image: 'b/c' },
    { pool: 'a', image: 'b', size: 1 },
    { pool: 1, image: 'b' },
    [],
    7,
    null,
    undefined,
  ])('%j is refused at once', (ref) => {
    expect(() => rbd().volume(ref as string)).toThrowError(
      expect.objectContaining({ code: 'invalid-reference', outcome: 'unchanged' }),
    )
  })

  test('one way at a time', () => {
    const dashboard = { url: 'http://mgr', username: 'a', password: 'b' }
    expect(() => rbd({ cluster: {}, dashboard } as unknown as { dashboard: typeof dashboard })).toThrow(TypeError)
  })
})

describe('owners', () => {
  test.each([
    [`volume-${uuid}`, 'OpenStack Cinder'],
    [`csi-vol-${uuid}`, 'ceph-csi (Kubernetes)'],
    [`kubernetes-dynamic-pvc-${uuid}`, 'Kubernetes'],
    [`${uuid}_disk`, 'OpenStack Nova'],
    ['vm-100-disk-0', 'Proxmox VE'],
    ['volume-1', undefined],
    [`my-volume-${uuid}`, undefined],
    [`csi-vol-${uuid}-copy`, undefined],
    ['data', undefined],
  ])('%s: %s', (image, owner) => expect(ownerOf({ pool: 'p', namespace: '', image })?.name).toBe(owner))
})

describe('what a host looks for', () => {
  const name = { pool: 'volumes', namespace: 'ns', image: 'a' }
  const state: VolumeState = { key: 'volumes/ns/a', size: bytes(1), phase: 'stable', native: 'image' }

  test('is the image of this cluster, whatever it is called there', () => {
    const seen = { ...state, image: { id: '10ab', fsid: uuid } }
    expect(hintsOf(name, seen).attributes).toEqual({
      'device/pool': 'volumes',
      'device/pool_ns': 'ns',
      'device/image_id': '10ab',
      'device/cluster_fsid': uuid,
      'device/current_snap': '-',
    })
  })

  test('is its name where it has no id', () => {
    expect(hintsOf(name, state).attributes).toMatchObject({ 'device/name': 'a' })
  })
})

describe('persistent volumes', () => {
  const csi = (driver: string, volumeAttributes: object): object => ({ spec: { csi: { driver, volumeAttributes } } })
  const attributes = { pool: 'replicapool', imageName: `csi-vol-${uuid}`, clusterID: 'rook-ceph' }

  test.each([
    [csi('rbd.csi.ceph.com', attributes), { pool: 'replicapool', image: `csi-vol-${uuid}` }],
    [
      csi('rook-ceph.rbd.csi.ceph.com', { ...attributes, radosNamespace: 'blue' }),
      { pool: 'replicapool', namespace: 'blue', image: `csi-vol-${uuid}` },
    ],
    [{ spec: { rbd: { monitors: ['m'], image: 'a' } } }, { pool: 'rbd', image: 'a' }],
    [{ spec: { rbd: { monitors: ['m'], pool: 'p', image: 'a' } } }, { pool: 'p', image: 'a' }],
    [csi('cephfs.csi.ceph.com', attributes), undefined],
    [csi('evilrbd.csi.ceph.com.example', attributes), undefined],
    [csi('rbd.csi.ceph.com', { pool: 'replicapool' }), undefined],
    [csi('rbd.csi.ceph.com', { ...attributes, pool: 'a/b' }), undefined],
    [csi('rbd.csi.ceph.com', { ...attributes, radosNamespace: 7 }), undefined],
    [{ spec: { rbd: 7 } }, undefined],
    [{}, undefined],
  ])('%j', (persistentVolume, ref) => expect(fromPersistentVolume(persistentVolume)).toEqual(ref))
})

describe('JSON', () => {
  test('keeps every digit of an integer, and everything else as it is', () => {
    const text =
      '{"cookie":18446462598732840961,"size":9007199254740993,"small":1,"share":0.028362274169921875,"tiny":2.5e-16,"name":"18446462598732840961 \\"cookie\\":18446462598732840961"}'
    expect(parseExact(text)).toEqual({
      cookie: '18446462598732840961',
      size: '9007199254740993',
      small: 1,
      share: 0.028362274169921875,
      tiny: 2.5e-16,
      name: '18446462598732840961 "cookie":18446462598732840961',
    })
  })
})
