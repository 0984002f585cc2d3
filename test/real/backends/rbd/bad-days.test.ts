import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { rbd } from '../../../../providers/rbd/index.ts'
import type { RbdRef } from '../../../../providers/rbd/ref.ts'
import type { VolumeExpander } from '../../../../src/expander.ts'
import { expand, plan } from '../../../../src/index.ts'
import { formatSize } from '../../../../src/size.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import { sharedCeph } from '../support/ceph.ts'
import { expanderFor, failureOf, grow, makeImage, mebibytes, sizeOf, stateOf, writeTo } from './images.ts'

let lab: CephLab
let expander: VolumeExpander<RbdRef>
let directory: string
/** With the rights of client.admin, for pools that are made by a test. */
let admin: VolumeExpander<RbdRef>

beforeAll(async () => {
  lab = await sharedCeph()
  expander = expanderFor(lab)
  admin = expanderFor(lab, { user: 'admin' })
  directory = await mkdtemp(join(tmpdir(), 'rbd-test-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

const codesOf = ({ findings = [] }: { readonly findings?: readonly { readonly code: string }[] }): readonly string[] =>
  findings.map(({ code }) => code)

describe('growing', () => {
  test('to more, to the same, and to less', async () => {
    const spec = await makeImage(lab)
    await grow(expander, spec, mebibytes(80))
    expect(await sizeOf(lab, spec)).toBe(mebibytes(80))
    await grow(expander, spec, mebibytes(80))
    await grow(expander, spec, mebibytes(8))
    expect(await sizeOf(lab, spec)).toBe(mebibytes(80))
  })

  test('an image that librbd has open: it grows, and who does not see that is said before', async () => {
    const spec = await makeImage(lab)
    await writeTo(lab, spec)
    const state = await stateOf(expander, spec)
    expect(state.users).toEqual([
      { kind: 'watcher', description: expect.stringMatching(/^client\.\d+ at .*\(librbd\)$/) },
    ])
    expect(state.findings).toEqual([
      expect.objectContaining({
        code: 'not-visible-by-itself',
        severity: 'warning',
        remedy: expect.stringContaining('block_resize'),
      }),
    ])
    await grow(expander, spec, mebibytes(96))
    expect(await sizeOf(lab, spec)).toBe(mebibytes(96))
  })

  test('the writer that holds the lock hangs: an outcome that is unknown, within the deadline, and the next run goes on', async () => {
    const spec = await makeImage(lab)
    const writer = await writeTo(lab, spec)
    await expect
      .poll(async () => await lab.rbd('lock', 'ls', '--format', 'json', spec), { timeout: 30_000 })
      .toContain('auto')
    writer.kill('SIGSTOP')
    const error = await failureOf(grow(expander, spec, mebibytes(96)))
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown', retryable: true })
    writer.kill('SIGCONT')
    await expect
      .poll(async () => await grow(expander, spec, mebibytes(96)).then(() => 'grown', String), { timeout: 60_000 })
      .toBe('grown')
    expect(await sizeOf(lab, spec)).toBe(mebibytes(96))
  })

  test('another tool grows it meanwhile: nothing is taken back', async () => {
    const spec = await makeImage(lab)
    const racers = [70, 90, 75, 85, 72].map((size) => grow(expander, spec, mebibytes(size)))
    await lab.rbd('resize', '--no-progress', '--size', '100M', spec)
    await Promise.all(racers)
    expect(await sizeOf(lab, spec)).toBe(mebibytes(100))
  })

  test('by expand(), with what it did in the report', async () => {
    const spec = await makeImage(lab)
    const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
    const report = await expand({ volume, to: '128Mi' })
    expect(await sizeOf(lab, spec)).toBe(mebibytes(128))
    expect(JSON.stringify(report)).toContain(`"${mebibytes(128)}"`)
    expect(JSON.stringify(report)).not.toContain(await lab.key('cinder'))
  })
})

describe('what is not there', () => {
  test.each([['volumes/nowhere'], ['nowhere/image'], ['volumes/nowhere/image']])('%s', async (ref) => {
    const [outcome] = await expander.read([ref], {})
    expect(outcome).toMatchObject({ code: 'not-found', outcome: 'unchanged', remedy: expect.anything() })
    expect(await failureOf(grow(expander, ref, mebibytes(80)))).toMatchObject({
      code: 'not-found',
      outcome: 'unchanged',
    })
  })

  test('an image in the trash, with the place to look', async () => {
    const spec = await makeImage(lab)
    await lab.rbd('trash', 'mv', spec)
    const [outcome] = await expander.read([spec], {})
    expect(outcome).toMatchObject({ code: 'not-found', remedy: expect.stringContaining('rbd trash ls') })
  })
})

describe('rights', () => {
  test('a user who may only look looks, and does not grow', async () => {
    const reader = expanderFor(lab, { user: 'reader' })
    const spec = await makeImage(lab)
    expect((await stateOf(reader, spec)).size).toBe(mebibytes(64))
    expect(await failureOf(grow(reader, spec, mebibytes(80)))).toMatchObject({
      code: 'permission-denied',
      outcome: 'unchanged',
    })
    expect(await sizeOf(lab, spec)).toBe(mebibytes(64))
  })

  test.each([
    ['nobody has the name', { user: 'nobody' }],
    ['the keyring is not there', { keyring: '/nonexistent/keyring' }],
  ])('%s', async (_what, cluster) => {
    const spec = await makeImage(lab)
    const error = await failureOf(grow(expanderFor(lab, cluster), spec, mebibytes(80)))
    expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged', retryable: false })
  })

  test('the key of somebody else, which no error shows', async () => {
    const spec = await makeImage(lab)
    const key = await lab.key('reader')
    const keyring = join(directory, 'wrong.keyring')
    await writeFile(keyring, `[client.cinder]\n\tkey = ${key}\n`, { mode: 0o600 })
    const error = await failureOf(stateOf(expanderFor(lab, { keyring }), spec))
    expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
    expect(JSON.stringify(error)).not.toContain(key)
  })

  test('a configuration that is not there', async () => {
    const error = await failureOf(stateOf(expanderFor(lab, { conf: '/nonexistent/ceph.conf' }), 'volumes/image'))
    expect(error).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
  })
})

describe('a cluster that does not answer', () => {
  test('no monitor at the address', async () => {
    const conf = join(directory, 'nowhere.conf')
    await writeFile(conf, (await readFile(lab.conf, 'utf8')).replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:1'))
    const nowhere = expanderFor(lab, { conf, timeout: 2000 })
    for (const call of [() => stateOf(nowhere, 'volumes/image'), () => grow(nowhere, 'volumes/image', mebibytes(80))]) {
      expect(await failureOf(call())).toMatchObject({
        code: 'backend-unreachable',
        outcome: 'unchanged',
        retryable: true,
      })
    }
  })

  test('a monitor that hangs', async () => {
    const spec = await makeImage(lab)
    lab.freeze('mon')
    try {
      for (const call of [() => stateOf(expander, spec), () => grow(expander, spec, mebibytes(80))]) {
        expect(await failureOf(call())).toMatchObject({
          code: 'backend-unreachable',
          outcome: 'unchanged',
          retryable: true,
        })
      }
    } finally {
      lab.thaw('mon')
    }
    await settled()
    await grow(expander, spec, mebibytes(80))
    expect(await sizeOf(lab, spec)).toBe(mebibytes(80))
  })

  test('an OSD that hangs costs one deadline for a whole batch, and the next run does what is left', async () => {
    const specs = [await makeImage(lab), await makeImage(lab), await makeImage(lab)]
    lab.freeze('osd')
    try {
      const began = performance.now()
      const outcomes = await expander.read(specs, {})
      const seconds = (performance.now() - began) / 1000
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ code: 'timeout', outcome: 'unchanged', retryable: true })
      }
      // One deadline of 4 s, and what ends a command that did not keep it: three of them would take longer.
      expect(seconds).toBeLessThan(3 * 14)
      const error = await failureOf(grow(expander, specs[0] ?? '', mebibytes(80)))
      expect(error).toMatchObject({ code: 'timeout', retryable: true })
      expect(['unchanged', 'unknown']).toContain(error.outcome)
    } finally {
      lab.thaw('osd')
    }
    await settled()
    await grow(expander, specs[0] ?? '', mebibytes(80))
    expect(await sizeOf(lab, specs[0] ?? '')).toBe(mebibytes(80))
  })

  /** Until the cluster works again: what it has lost meanwhile it takes up by itself. */
  async function settled(): Promise<void> {
    await expect
      .poll(async () => await lab.rbd('ls', 'volumes').then(() => 'answers', String), { timeout: 120_000 })
      .toBe('answers')
  }
})

describe('room', () => {
  test('more than the pool has is told, and not refused', async () => {
    const spec = await makeImage(lab)
    const { backed } = await stateOf(expanderFor(lab), spec)
    expect(backed).toBeGreaterThan(mebibytes(1024))
    expect(backed).toBeLessThan(mebibytes(11 * 1024))
    const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
    expect(codesOf(await plan({ volume, to: '100Gi' }))).toContain('thin-overcommit')
    expect(codesOf(await plan({ volume, to: '128Mi' }))).not.toContain('thin-overcommit')
  })

  test('more objects than an object map has is refused before', async () => {
    const spec = await makeImage(lab)
    const { limits } = await stateOf(expander, spec)
    expect(limits?.[0]?.most).toBe(256_000_000n * 4n * 1024n ** 2n)
    const above = mebibytes(1024 * 1024 * 1024)
    // The cluster itself refuses it as well, in words that speak of shrinking.
    expect(await failureOf(grow(expander, spec, above))).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
    const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
    expect(codesOf(await plan({ volume, to: formatSize(above) }))).toContain('limit-exceeded')
  })

  test('a pool that has used up its quota, or nearly', async () => {
    const pool = await makePool()
    const spec = await makeImage(lab, { pool })
    await lab.rbd('bench', '--io-type', 'write', '--io-size', '1M', '--io-total', '32M', spec)
    expect(codesOf(await stateOf(expanderFor(lab, { user: 'admin' }), spec))).toEqual([])
    await lab.ceph('osd', 'pool', 'set-quota', pool, 'max_bytes', `${mebibytes(8)}`)
    await told(spec, 'pool-full')
  })

  test('a cluster that is full, or nearly: growing would hang there', async () => {
    const spec = await makeImage(lab)
    const ratios = async (nearly: string, backfill: string, full: string): Promise<void> => {
      await lab.ceph('osd', 'set-full-ratio', full)
      await lab.ceph('osd', 'set-backfillfull-ratio', backfill)
      await lab.ceph('osd', 'set-nearfull-ratio', nearly)
    }
    onTestFinished(async () => {
      await ratios('0.85', '0.90', '0.95')
      await expect.poll(async () => codesOf(await stateOf(expanderFor(lab), spec)), { timeout: 90_000 }).toEqual([])
    })
    await ratios('0.001', '0.90', '0.95')
    expect(await told(spec, 'pool-full')).toMatch(/nearfull/)
    await ratios('0.001', '0.002', '0.003')
    await expect.poll(async () => await messageOf(spec, 'pool-full'), { timeout: 90_000 }).toMatch(/is full/)
    const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
    expect(await failureOf(Promise.resolve(expand({ volume, to: '128Mi' })))).toMatchObject({
      code: 'pool-full',
      outcome: 'unchanged',
    })
    expect(await failureOf(grow(expander, spec, mebibytes(128)))).toMatchObject({ code: 'timeout', retryable: true })
  })

  async function told(spec: string, code: string): Promise<string> {
    await expect
      .poll(async () => codesOf(await stateOf(expanderFor(lab, { user: 'admin' }), spec)), { timeout: 90_000 })
      .toContain(code)
    return await messageOf(spec, code)
  }

  async function messageOf(spec: string, code: string): Promise<string> {
    const { findings = [] } = await stateOf(expanderFor(lab, { user: 'admin' }), spec)
    return findings.find((finding) => finding.code === code)?.message ?? ''
  }
})

describe('images that are not to be grown here', () => {
  test.each([
    ['volume-', 'OpenStack Cinder'],
    ['csi-vol-', 'ceph-csi'],
  ])('%s…: its owner is named, and it can be accepted', async (prefix, owner) => {
    const spec = await makeImage(lab, { name: `${prefix}${randomUUID()}` })
    const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
    const error = await failureOf(Promise.resolve(expand({ volume, to: '128Mi' })))
    expect(error).toMatchObject({
      code: 'owned-elsewhere',
      outcome: 'unchanged',
      message: expect.stringContaining(owner),
    })
    await expand({ volume, to: '128Mi', accept: ['owned-elsewhere'] })
    expect(await sizeOf(lab, spec)).toBe(mebibytes(128))
  })

  test('a mirror that is not the primary one', async () => {
    const pool = await makePool()
    const spec = await makeImage(lab, { pool })
    await lab.rbd('mirror', 'pool', 'enable', pool, 'image')
    await lab.rbd('mirror', 'image', 'enable', spec, 'snapshot')
    expect(await stateOf(admin, spec)).toMatchObject({ phase: 'stable', findings: [] })
    await lab.rbd('mirror', 'image', 'demote', spec)
    const state = await stateOf(admin, spec)
    expect(state).toMatchObject({ phase: 'unusable', native: 'non-primary mirror' })
    expect(codesOf(state)).toEqual(['wrong-state'])
    expect(await failureOf(grow(admin, spec, mebibytes(80)))).toMatchObject({
      code: 'wrong-state',
      outcome: 'unchanged',
    })
  })

  test('the target of a migration', async () => {
    const pool = await makePool()
    const source = await makeImage(lab)
    await lab.rbd('migration', 'prepare', source, `${pool}/target`)
    const state = await stateOf(admin, `${pool}/target`)
    expect(state).toMatchObject({ phase: 'unusable', native: 'in migration (prepared)' })
    expect(codesOf(state)).toEqual(['wrong-state'])
    expect((await admin.read([source], {}))[0]).toMatchObject({ code: 'not-found' })
    await lab.rbd('migration', 'abort', '--no-progress', `${pool}/target`)
  })
})

describe('snapshots', () => {
  test('are made once, and found again', async () => {
    const spec = await makeImage(lab)
    const { snapshots } = expander
    if (snapshots === undefined) throw new Error('The provider makes snapshots.')
    const request = { name: 'before-growth', requestId: randomUUID() }
    const id = await snapshots.create(spec, request)
    expect(await snapshots.create(spec, request)).toBe(id)
    expect(await snapshots.read(spec, id, {})).toEqual({ id, phase: 'usable', native: 'snapshot' })
    const listed: unknown = JSON.parse(await lab.rbd('snap', 'ls', '--format', 'json', spec))
    expect(listed).toEqual([expect.objectContaining({ name: 'before-growth' })])
    // One of that name from another time is not the one that was asked for.
    const other = failureOf(snapshots.create(spec, { name: 'before-growth', requestId: randomUUID() }))
    expect(await other).toMatchObject({ code: 'conflicting-change', outcome: 'unchanged' })
    expect(await failureOf(snapshots.read(spec, 'none', {}))).toMatchObject({ code: 'not-found' })
  })
})

/** A pool that goes with the test, and its images with it. */
async function makePool(): Promise<string> {
  const pool = `p-${randomUUID().slice(0, 8)}`
  await lab.ceph('osd', 'pool', 'create', pool, '4', '4')
  onTestFinished(async () => {
    await lab.ceph('osd', 'pool', 'rm', pool, pool, '--yes-i-really-really-mean-it')
  })
  await lab.rbd('pool', 'init', pool)
  return pool
}
