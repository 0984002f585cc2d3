import { beforeAll, expect, test } from 'vitest'
import { dashboardClient, type RbdDashboard } from '../../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../../providers/rbd/expander.ts'
import type { RbdRef } from '../../../../providers/rbd/ref.ts'
import type { VolumeExpander } from '../../../../src/expander.ts'
import { type HttpClient, httpClient } from '../../../../src/services/http.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import { sharedCeph } from '../support/ceph.ts'
import { failureOf, grow, makeImage, mebibytes, sizeOf, stateOf } from './images.ts'

let lab: CephLab

beforeAll(async () => {
  lab = await sharedCeph()
})

function over(options: Partial<RbdDashboard> = {}): VolumeExpander<RbdRef> {
  return rbdExpander(dashboardClient({ ...lab.dashboard, ...options }))
}

test('reads, and refuses to grow until that is allowed', async () => {
  const spec = await makeImage(lab)
  const state = await stateOf(over(), spec)
  expect(state).toMatchObject({ size: mebibytes(64), image: { fsid: lab.fsid } })
  expect(state.findings).toEqual([expect.objectContaining({ code: 'permission-denied', severity: 'blocker' })])
  expect(await failureOf(grow(over(), spec, mebibytes(80)))).toMatchObject({
    code: 'permission-denied',
    outcome: 'unchanged',
  })
  expect(await sizeOf(lab, spec)).toBe(mebibytes(64))
  await grow(over({ allowUnguardedResize: true }), spec, mebibytes(80))
  expect(await sizeOf(lab, spec)).toBe(mebibytes(80))
})

test('the API has no guard: what another tool grows between look and request is taken back, which is why it has to be allowed', async () => {
  const spec = await makeImage(lab)
  const plain = httpClient({ provider: 'rbd' })
  const late: HttpClient = {
    ...plain,
    async send(request) {
      if (request.method === 'PUT') await lab.rbd('resize', '--no-progress', '--size', '512M', spec)
      return await plain.send(request)
    },
  }
  await grow(over({ allowUnguardedResize: true, client: late }), spec, mebibytes(80))
  expect(await sizeOf(lab, spec)).toBe(mebibytes(80))
  plain.close()
})

test.each(['volumes/nowhere', 'nowhere/image'])('%s does not exist', async (ref) => {
  const allowed = over({ allowUnguardedResize: true })
  expect((await allowed.read([ref], {}))[0]).toMatchObject({ code: 'not-found' })
  expect(await failureOf(grow(allowed, ref, mebibytes(80)))).toMatchObject({ code: 'not-found', outcome: 'unchanged' })
})

test('a wrong password', async () => {
  const error = await failureOf(stateOf(over({ password: 'a-canary' }), 'volumes/image'))
  expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
  expect(JSON.stringify(error)).not.toContain('canary')
})

test('a manager that hangs', async () => {
  const spec = await makeImage(lab)
  const hasty = over({ allowUnguardedResize: true, timeout: 3000 })
  await stateOf(over(), spec)
  lab.freeze('mgr')
  try {
    expect(await failureOf(grow(hasty, spec, mebibytes(80)))).toMatchObject({
      code: 'timeout',
      outcome: 'unchanged',
      retryable: true,
    })
  } finally {
    lab.thaw('mgr')
  }
  await expect
    .poll(
      async () => await grow(over({ allowUnguardedResize: true }), spec, mebibytes(80)).then(() => 'grown', String),
      { timeout: 120_000 },
    )
    .toBe('grown')
})
