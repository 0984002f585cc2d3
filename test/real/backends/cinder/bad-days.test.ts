import { rm } from 'node:fs/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { cinder } from '../../../../providers/cinder/index.ts'
import type { CinderRef } from '../../../../providers/cinder/options.ts'
import type { VolumeExpander } from '../../../../src/expander.ts'
import { expand, plan, VolumeExpansionError } from '../../../../src/index.ts'
import type { Bytes } from '../../../../src/size.ts'
import type { CinderLab } from '../../../lab/cinder/cinder.ts'
import { type OpenStack, succeeded } from '../../../lab/cinder/openstack.ts'
import { until } from '../../support/commands.ts'
import { sharedCinder } from '../support/cinder.ts'
import {
  attach,
  becomes,
  counted,
  extend,
  fileSize,
  gib,
  look,
  makeVolume,
  optionsOf,
  setState,
  stateOf,
} from './support/cloud.ts'

let lab: CinderLab
let user: OpenStack
const undo: (() => unknown)[] = []

beforeAll(async () => {
  lab = await sharedCinder()
  user = await lab.project()
})

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

function ask(expander: VolumeExpander<CinderRef>, ref: CinderRef, size: number): Promise<void> {
  return expander.expand(ref, { size: gib(size) as Bytes, options: undefined, requestId: crypto.randomUUID() })
}

async function failureOf(promise: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const error: unknown = await Promise.resolve(promise).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof VolumeExpansionError)) throw new Error(`It should have failed, and ended with ${error}.`)
  const { password } = user.credentials
  expect(JSON.stringify(error)).not.toContain(password)
  return error
}

/** Limits the quota of a new project with one volume of 2 GiB. */
async function limited(quota: object, inUse = false): Promise<{ readonly owner: OpenStack; readonly id: string }> {
  const owner = await lab.project()
  const id = await makeVolume(owner, 2)
  if (inUse) await attach(owner, id)
  const { project } = await owner.token()
  succeeded(await lab.admin.cinder('PUT', `/os-quota-sets/${project}`, { quota_set: quota }))
  return { owner, id }
}

describe('sizes', () => {
  test('less than there is, and the same, change nothing', async () => {
    const id = await makeVolume(user, 3)
    const { expander, calls } = counted(optionsOf(user))
    for (const size of [1, 2, 3]) await ask(expander, id, size)
    expect(calls.filter(({ path }) => path.includes('/action')).map(({ status }) => status)).toEqual([400, 400, 400])
    expect(await look(user, id)).toMatchObject({ status: 'available', size: 3 })
    const { code } = await failureOf(expand({ volume: cinder(optionsOf(user)).volume(id), to: '1Gi' }))
    expect(code).toBe('would-shrink')
  })

  test('grown by another tool meanwhile: nothing is lost', async () => {
    const id = await makeVolume(user, 1)
    const { expander } = counted(optionsOf(user))
    await stateOf(expander, id)
    await extend(user, id, 5)
    await becomes(user, id, 'available')
    await ask(expander, id, 3)
    expect(await fileSize(lab, id)).toBe(gib(5))
  })

  test('growing by another tool: the run waits for it, and then asks for what is left', async () => {
    const id = await makeVolume(user, 1)
    undo.push(() => rm(control, { force: true }))
    const control = await lab.control('delay', '3', id)
    await extend(user, id, 2)
    const { error, report } = await settled(expand({ volume: cinder(optionsOf(user)).volume(id), to: '4Gi' }))
    expect(error).toBeUndefined()
    expect(report).toMatchObject({ changed: true })
    expect(await fileSize(lab, id)).toBe(gib(4))
  })
})

async function settled<T>(run: PromiseLike<T>): Promise<{ readonly report?: T; readonly error?: unknown }> {
  return Promise.resolve(run).then(
    (report) => ({ report }),
    (error: unknown) => ({ error }),
  )
}

describe('what is not there, and states', () => {
  test('a missing volume, and one of another project', async () => {
    const other = await makeVolume(await lab.project(), 1)
    for (const id of [crypto.randomUUID(), other]) {
      const error = await failureOf(expand({ volume: cinder(optionsOf(user)).volume(id), to: '2Gi' }))
      expect(error).toMatchObject({ code: 'not-found', outcome: 'unchanged', provider: 'cinder' })
    }
    expect(await fileSize(lab, other)).toBe(gib(1))
  })

  test.each(['reserved', 'attaching', 'error', 'maintenance', 'retyping'])(
    '%s is no state to grow in',
    async (state) => {
      const id = await makeVolume(user, 1)
      await setState(lab, id, state)
      const error = await failureOf(expand({ volume: cinder(optionsOf(user)).volume(id), to: '2Gi' }))
      expect(error).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
      expect(error.message).toContain(state)
      // The same, when it came to that after the look.
      const late = await failureOf(ask(counted(optionsOf(user)).expander, id, 2))
      expect(late).toMatchObject({ code: 'wrong-state', outcome: 'unchanged', retryable: false })
    },
  )

  test('the driver fails: the reason is shown, before the next run as well', async () => {
    const id = await makeVolume(user, 1)
    const control = await lab.control('fail', '', id)
    undo.push(() => rm(control, { force: true }))
    const error = await failureOf(expand({ volume: cinder(optionsOf(user)).volume(id), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
    expect(error.message).toContain('Volume Driver failed to extend volume')
    expect(error.remedy).toContain('--state available')
    const planned = await plan({ volume: cinder(optionsOf(user)).volume(id), to: '2Gi' })
    const texts = planned.findings.map(({ code, message }) => `${code}: ${message}`).join('\n')
    expect(texts).toContain('wrong-state')
    expect(texts).toContain('Volume Driver failed to extend volume')
    expect(await fileSize(lab, id)).toBe(gib(1))
  })

  test('the scheduler finds no room: said at once, though the volume looks as if nothing had been asked', async () => {
    const id = await makeVolume(user, 1)
    // More than the backend has.
    const error = await failureOf(expand({ volume: cinder(optionsOf(user)).volume(id), to: '200000000Gi' }))
    expect(error).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
    expect(error.message).toContain('given up')
    expect(await look(user, id)).toMatchObject({ size: 1, status: 'available' })
  })

  test('while it is moved to another backend it is not grown, where that can be seen: by an administrator', async () => {
    const id = await makeVolume(user, 1)
    await lab.sql(`update volumes set migration_status='migrating' where id='${id}'`)
    const error = await failureOf(expand({ volume: cinder(optionsOf(lab.admin)).volume(id), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
    expect(error.message).toContain('moved to another backend')
  })
})

describe('limits', () => {
  test.each([
    ['gigabytes', { gigabytes: 5 }, 'quota-exceeded', 5],
    ['gigabytes of the type', { gigabytes_file: 4 }, 'quota-exceeded', 4],
    ['per_volume_gigabytes', { per_volume_gigabytes: 3 }, 'limit-exceeded', 3],
  ])('%s is told before the call, and understood after it', async (_, quota, code, most) => {
    const { owner, id } = await limited(quota)
    const { expander, calls } = counted(optionsOf(owner))
    const planned = await plan({ volume: cinder(optionsOf(owner)).volume(id), to: `${most + 1}Gi` })
    expect(planned.findings).toContainEqual(expect.objectContaining({ code, severity: 'blocker' }))
    const error = await failureOf(ask(expander, id, most + 1))
    expect(error).toMatchObject({ code, outcome: 'unchanged', retryable: false })
    expect(calls.at(-1)).toMatchObject({ status: 413 })
    expect(await look(owner, id)).toMatchObject({ size: 2, status: 'available' })
    await expand({ volume: cinder(optionsOf(owner)).volume(id), to: `${most}Gi` })
    expect(await fileSize(lab, id)).toBe(gib(most))
  })

  test('a quota that may not be read is silently absent', async () => {
    const { owner, id } = await limited({ gigabytes: 5 })
    undo.push(() => lab.policy({}))
    await lab.policy({ 'volume_extension:quotas:show': 'rule:admin_api', 'message:get_all': 'rule:admin_api' })
    const state = await until('the policy to hold', async () => {
      const seen = await stateOf(counted(optionsOf(owner)).expander, id)
      return seen.limits?.length === 0 && seen
    })
    expect(state).toMatchObject({ phase: 'stable', size: gib(2) })
  })
})

describe('an older cloud', () => {
  test('in use it is told before the call that it cannot grow; available it grows', async () => {
    const old = (): ReturnType<typeof counted> => {
      const made = counted(optionsOf(user))
      // The server takes it for a client of that release.
      made.api.version = async () => 41
      return made
    }
    const { expander } = old()
    const id = await makeVolume(user, 1)
    await attach(user, id)
    expect(await stateOf(expander, id)).toMatchObject({ onlineGrowth: false, phase: 'stable' })
    expect(await failureOf(ask(expander, id, 2))).toMatchObject({ code: 'offline-only', outcome: 'unchanged' })
    const free = await makeVolume(user, 1)
    await ask(expander, free, 2)
    await until('the growth', async () => (await stateOf(expander, free)).size === gib(2))
    expect(await fileSize(lab, id)).toBe(gib(1))
  })

  test('a node that knows less than the one before: asked again for its version', async () => {
    const id = await makeVolume(user, 1)
    let refused = 0
    const { expander, calls } = counted(optionsOf(user), (request) => {
      if (refused > 0 || request.versions === true) return request
      refused += 1
      return { ...request, headers: { 'openstack-api-version': 'volume 3.99' } }
    })
    expect(await stateOf(expander, id)).toMatchObject({ size: gib(1) })
    expect(calls.map(({ status }) => status).slice(0, 5)).toEqual([201, 200, 406, 200, 200])
  })

  test('406 without end is a failure of its own', async () => {
    const { expander } = counted(optionsOf(user), (request) =>
      request.versions === true ? request : { ...request, headers: { 'openstack-api-version': 'volume 3.99' } },
    )
    const error = await failureOf(stateOf(expander, crypto.randomUUID()))
    expect(error).toMatchObject({ code: 'backend-unreachable', retryable: true, outcome: 'unchanged' })
  })
})

describe('rights', () => {
  test('a token that ends in the middle is renewed once, and the growth goes on', async () => {
    const id = await makeVolume(user, 1)
    const { expander, calls, tokens } = counted(optionsOf(user))
    await stateOf(expander, id)
    const [token = ''] = tokens
    // Revoked by whom it belongs to, as when somebody signs out.
    const { status } = await fetch(`${lab.authUrl}/auth/tokens`, {
      method: 'DELETE',
      headers: { 'x-auth-token': token, 'x-subject-token': token },
    })
    expect(status).toBe(204)
    await ask(expander, id, 2)
    const grown = await until('the growth', async () => {
      const state = await stateOf(expander, id)
      return state.phase === 'stable' && state
    })
    expect(grown.size).toBe(gib(2))
    const statuses = calls.map(({ path: called, status }) => (called.includes('/auth/tokens') ? 'token' : status))
    expect(statuses.filter((status) => status === 'token')).toHaveLength(2)
    expect(statuses.filter((status) => status === 401)).toHaveLength(1)
    expect(new Set(tokens).size).toBe(2)
  })

  test('a wrong password is said without being shown', async () => {
    const auth = { ...user.credentials, password: 'canary-5f1d0c' }
    const error = await failureOf(expand({ volume: cinder({ auth }).volume(crypto.randomUUID()), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged', retryable: false })
    expect(JSON.stringify(error) + error.stack).not.toContain('canary')
  })

  test('a policy that forbids growth in use', async () => {
    undo.push(() => lab.policy({}))
    await lab.policy({ 'volume:extend_attached_volume': 'rule:admin_api' })
    const id = await makeVolume(user, 1)
    await attach(user, id)
    const error = await failureOf(ask(counted(optionsOf(user)).expander, id, 2))
    expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged', retryable: false })
    expect(await look(user, id)).toMatchObject({ size: 1, status: 'in-use' })
  })

  test('the endpoint of another project', async () => {
    const id = await makeVolume(user, 1)
    const other = await (await lab.project()).token()
    const { expander } = counted({ ...optionsOf(user), endpoint: `${lab.endpoint}/${other.project}` })
    const error = await failureOf(ask(expander, id, 2))
    expect(error).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    expect(error.message).toContain('Malformed request url')
  })

  test('an application credential, and a token', async () => {
    const id = await makeVolume(user, 1)
    const users = succeeded<{ users: { id: string }[] }>(
      await lab.admin.keystone('GET', `/users?name=${user.credentials.username}`),
    )
    const made = succeeded<{ application_credential: { id: string; name: string; secret: string } }>(
      await user.keystone('POST', `/users/${users.users[0]?.id}/application_credentials`, {
        application_credential: { name: 'growing' },
      }),
    ).application_credential
    const { authUrl, username } = user.credentials
    const { id: token } = await user.token()
    const ways = [
      { authUrl, applicationCredentialId: made.id, applicationCredentialSecret: made.secret },
      { authUrl, username, applicationCredentialName: made.name, applicationCredentialSecret: made.secret },
      { authUrl, token, projectName: user.credentials.projectName },
    ]
    for (const [index, auth] of ways.entries()) {
      await expand({ volume: cinder({ auth }).volume(id), to: `${index + 2}Gi` })
    }
    const { project } = await user.token()
    const ready = cinder({ auth: { token }, endpoint: `${lab.endpoint}/${project}` })
    await expand({ volume: ready.volume(id), to: '5Gi' })
    expect(await fileSize(lab, id)).toBe(gib(5))
  })
})

test('cinder-volume frozen: the run ends by its own deadline, and the next one joins', async () => {
  const id = await makeVolume(user, 1)
  undo.push(() => lab.thaw('volume'))
  lab.freeze('volume')
  const volume = cinder(optionsOf(user)).volume(id)
  const error = await failureOf(expand({ volume, to: '2Gi', timeouts: { backend: 3000 } }))
  expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown', retryable: true })
  expect(error.message).toContain('extending')
  // Another process knows nothing of the first run.
  const { expander } = counted(optionsOf(user))
  expect(await stateOf(expander, id)).toMatchObject({ phase: 'growing', native: 'extending' })
  const next = expand({ volume, to: '2Gi' })
  // What it has not seen growing, it does not say to have grown.
  for await (const event of next) if (event.type === 'waiting' || event.type === 'progress') break
  lab.thaw('volume')
  expect(await next).toMatchObject({ changed: true })
  expect(await fileSize(lab, id)).toBe(gib(2))
})

test('Cinder is not there', async () => {
  const { authUrl } = user.credentials
  const gone = cinder({ ...optionsOf(user), endpoint: 'http://127.0.0.1:9/v3' }).volume(crypto.randomUUID())
  expect(await failureOf(plan({ volume: gone, to: '2Gi' }))).toMatchObject({
    code: 'backend-unreachable',
    outcome: 'unchanged',
  })
  const auth = { ...user.credentials, authUrl: authUrl.replace(/:\d+/, ':9') }
  const keyless = cinder({ auth }).volume(crypto.randomUUID())
  expect(await failureOf(plan({ volume: keyless, to: '2Gi' }))).toMatchObject({ code: 'backend-unreachable' })
})
