import { describe, expect, test } from 'vitest'
import { ofPersistentVolume } from '../../../providers/ebs/reference.ts'
import { type ProviderSetup, providerCases } from '../../../src/conformance/index.ts'
import { GiB } from '../../../src/size.ts'
import { missing, secretAccessKey, sessionToken, world } from './world.ts'

const { clock, ec2, expander } = world({ modifying: 2000, optimizing: 3000 })
let made = 0

const setup: ProviderSetup<unknown, unknown> = {
  expander,
  async volume() {
    made += 1
    const id = `vol-${made.toString(16).padStart(17, '0')}`
    ec2.setVolume(id, { size: 10 })
    return {
      ref: id,
      spellings: [{ id, iops: 6000 }],
      measure: async () => BigInt(ec2.volume(id).size) * GiB,
      async grow(size) {
        ec2.modifyElsewhere(id, { size: Number(size / GiB) })
        await clock.sleep(5000)
      },
    }
  },
  missing,
  missingSnapshot: 'snap-0ffffffffffffffff',
  loseAnswer: () => ec2.trouble('ModifyVolume', 'lost'),
  secrets: [secretAccessKey, sessionToken],
  malformed: [
    '',
    'vol-',
    'vol-1',
    'vol-0123456789ABCDEF0',
    'snap-0123456789abcdef0',
    ` ${missing}`,
    42,
    null,
    {},
    { id: 7 },
  ],
  pause: () => clock.sleep(500),
  persistentVolumes: async () => [
    { persistentVolume: { spec: { csi: { driver: 'ebs.csi.aws.com', volumeHandle: missing } } }, ref: missing },
    { persistentVolume: { spec: { awsElasticBlockStore: { volumeID: `aws://eu-west-1a/${missing}` } } }, ref: missing },
    { persistentVolume: { spec: { awsElasticBlockStore: { volumeID: missing } } }, ref: missing },
  ],
}

describe('ebs()', () => {
  for (const { name, run, skip } of providerCases(setup)) {
    if (skip === undefined) test(name, run)
  }

  test('leaves out only what needs a host or parts', () => {
    const skipped = providerCases(setup).filter(({ skip }) => skip !== undefined)
    expect(skipped.map(({ skip }) => skip)).toEqual(['the setup has no host', 'the provider has no parts'])
  })

  test('takes no foreign handle for a volume', () => {
    const handle = { spec: { csi: { driver: 'ebs.csi.aws.com', volumeHandle: 'static' } } }
    expect(ofPersistentVolume(handle)).toBeUndefined()
  })
})
