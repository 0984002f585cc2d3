import { beforeAll, describe, expect, test } from 'vitest'
import { CinderApi } from '../../../../providers/cinder/client.ts'
import { systemSurroundings } from '../../../../providers/cinder/cloud/files.ts'
import { Session } from '../../../../providers/cinder/cloud/session.ts'
import { settingsOf } from '../../../../providers/cinder/cloud/settings.ts'
import { cinderExpander } from '../../../../providers/cinder/expander.ts'
import type { CinderRef } from '../../../../providers/cinder/options.ts'
import { Memory } from '../../../../providers/cinder/reading.ts'
import { type ProviderSetup, type ProviderVolume, providerCases } from '../../../../src/conformance/index.ts'
import { GiB } from '../../../../src/size.ts'
import type { CinderLab } from '../../../lab/cinder/cinder.ts'
import type { OpenStack } from '../../../lab/cinder/openstack.ts'
import { sharedCinder } from '../support/cinder.ts'
import { attach, becomes, extend, fileSize, makeVolume, optionsOf } from './support/cloud.ts'

let lab: CinderLab
let user: OpenStack
let session: Session

beforeAll(async () => {
  lab = await sharedCinder()
  user = await lab.project()
  session = new Session(settingsOf(optionsOf(user), systemSurroundings()))
})

function setup(inUse: boolean): ProviderSetup<CinderRef> {
  const api = new CinderApi({ send: (request) => session.send(request) })
  return {
    expander: cinderExpander({ api, memory: new Memory(), scope: `conformance ${inUse}` }),
    async volume(): Promise<ProviderVolume<CinderRef>> {
      const id = await makeVolume(user)
      if (inUse) await attach(user, id)
      return {
        ref: id,
        spellings: [id.toUpperCase(), id.replaceAll('-', ''), { id }],
        measure: () => fileSize(lab, id),
        async grow(size) {
          expect(await extend(user, id, Number(size / GiB))).toMatchObject({ status: 202 })
          await becomes(user, id, inUse ? 'in-use' : 'available')
        },
      }
    },
    missing: crypto.randomUUID(),
    missingSnapshot: crypto.randomUUID(),
    malformed: ['', 'data', '../volumes', `${crypto.randomUUID()}/action`, 42, null, {}, { id: 7 }],
    async persistentVolumes() {
      const id = crypto.randomUUID()
      const csi = { driver: 'cinder.csi.openstack.org', volumeHandle: id }
      return [
        { persistentVolume: { spec: { csi } }, ref: id },
        { persistentVolume: { spec: { cinder: { volumeID: id } } }, ref: id },
      ]
    },
  }
}

describe.each([
  ['available', false],
  ['in use, without Nova', true],
])('volumes that are %s', (_, inUse) => {
  for (const { name, run, skip } of providerCases(setup(inUse))) if (skip === undefined) test(name, run)
})
