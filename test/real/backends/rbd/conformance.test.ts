import { beforeAll, describe, expect, test } from 'vitest'
import { dashboardClient } from '../../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../../providers/rbd/expander.ts'
import type { RbdRef } from '../../../../providers/rbd/ref.ts'
import { type ProviderSetup, providerCases } from '../../../../src/conformance/index.ts'
import type { Snapshots, VolumeExpander } from '../../../../src/expander.ts'
import { MiB } from '../../../../src/size.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import { sharedCeph } from '../support/ceph.ts'
import { expanderFor, makeImage, sizeOf } from './images.ts'

let lab: CephLab

beforeAll(async () => {
  lab = await sharedCeph()
  await lab.rbd('namespace', 'create', 'volumes/tenant').catch(() => undefined)
})

/** The suite is bound before the cluster runs, so that the provider is made at its first call. */
function later(make: () => VolumeExpander<RbdRef>, shape: VolumeExpander<RbdRef>): VolumeExpander<RbdRef> {
  let made: VolumeExpander<RbdRef> | undefined
  const real = (): VolumeExpander<RbdRef> => {
    made ??= make()
    return made
  }
  return {
    ...shape,
    normalize: (ref) => real().normalize(ref),
    read: (refs, options) => real().read(refs, options),
    expand: (ref, options) => real().expand(ref, options),
    identify: (ref, state) => real().identify(ref, state),
    ...(shape.snapshots === undefined ? {} : { snapshots: laterSnapshots(real) }),
  }
}

function laterSnapshots(real: () => VolumeExpander<RbdRef>): Snapshots<RbdRef> {
  const made = (): Snapshots<RbdRef> => {
    const { snapshots } = real()
    if (snapshots === undefined) throw new TypeError('This way to the cluster makes no snapshots.')
    return snapshots
  }
  return {
    create: (ref, options) => made().create(ref, options),
    read: (ref, id, options) => made().read(ref, id, options),
  }
}

function setup(expander: VolumeExpander<RbdRef>): ProviderSetup<RbdRef> {
  return {
    expander,
    async volume() {
      const spec = await makeImage(lab, { pool: 'volumes/tenant' })
      const [pool = '', namespace = '', image = ''] = spec.split('/')
      return {
        ref: spec,
        spellings: [{ pool, namespace, image }],
        measure: () => sizeOf(lab, spec),
        grow: async (size) => void (await lab.rbd('resize', '--no-progress', '--size', `${size / MiB}M`, spec)),
      }
    },
    missing: 'volumes/tenant/nowhere',
    missingSnapshot: 'nowhere',
    malformed: [
      '',
      'image',
      'volumes/',
      '/image',
      'volumes//image',
      'a/b/c/d',
      'volumes/a@b',
      'v\0/a',
      'v/\ud800',
      7,
      null,
      {},
    ],
    pause: async () => {},
    persistentVolumes: async () => [
      {
        ref: 'volumes/tenant/csi-vol-1',
        persistentVolume: {
          spec: {
            csi: {
              driver: 'rook-ceph.rbd.csi.ceph.com',
              volumeHandle: '0001-0009-rook-ceph-0000000000000002-1',
              volumeAttributes: { pool: 'volumes', radosNamespace: 'tenant', imageName: 'csi-vol-1' },
            },
          },
        },
      },
      {
        ref: 'rbd/in-tree',
        persistentVolume: { spec: { rbd: { monitors: ['10.0.0.1:6789'], image: 'in-tree' } } },
      },
    ],
  }
}

// Names and declarations alone; these two are never called.
const commands = expanderFor({ conf: '/etc/ceph/ceph.conf' } as CephLab)
const overHttp = rbdExpander(
  dashboardClient({ url: 'http://127.0.0.1:1', username: 'nobody', password: 'none', allowUnguardedResize: true }),
)

describe.each([
  ['commands', later(() => expanderFor(lab), commands)],
  ['dashboard', later(() => rbdExpander(dashboardClient({ ...lab.dashboard, allowUnguardedResize: true })), overHttp)],
] as const)('rbd() over the %s', (_name, expander) => {
  for (const { name, run, skip } of providerCases(setup(expander))) if (skip === undefined) test(name, run)

  test('leaves out only what this setup cannot show', () => {
    const skips = providerCases(setup(expander)).flatMap(({ skip }) => skip ?? [])
    expect(new Set(skips)).toEqual(
      new Set([
        'the setup cannot lose an answer',
        'the setup has no host',
        'the provider was given no secrets',
        'the provider has no parts',
        ...(expander.snapshots === undefined ? ['the provider has no snapshots'] : []),
      ]),
    )
  })
})
