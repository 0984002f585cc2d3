import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { cinder } from '../../../../providers/cinder/index.ts'
import { volumeOf } from '../../../../src/expander.ts'
import { type BatchItem, expand, type Host, parseSize, plan, type Report, type Volume } from '../../../../src/index.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import type { CinderLab } from '../../../lab/cinder/cinder.ts'
import type { NovaReceiver } from '../../../lab/cinder/nova.ts'
import type { OpenStack } from '../../../lab/cinder/openstack.ts'
import { Guest } from '../../../lab/node/guest.ts'
import { failureOf } from '../../node/support/growth.ts'
import { hostAt } from '../../node/support/host.ts'
import { patient } from '../../node/support/requests.ts'
import { counted, extend, gib, look, optionsOf } from '../cinder/support/cloud.ts'
import { sharedCeph } from '../support/ceph.ts'
import { sharedCinder } from '../support/cinder.ts'
import { dfOf, passOn, type Server, serverWith, sizesOf, stallsOf } from './story.ts'

const execute = promisify(execFile)

let ceph: CephLab
let lab: CinderLab
let user: OpenStack
let guest: Guest
let nova: NovaReceiver

beforeAll(async () => {
  ceph = await sharedCeph()
  lab = await sharedCinder()
  user = await lab.project()
  nova = await lab.nova()
  guest = await Guest.start()
})

afterAll(async () => {
  await guest?.stop()
  await nova?.stop()
})

afterEach(() => {
  nova.absent = false
  nova.onVolumeExtended = undefined
})

function host(): Host {
  const made = hostAt(guest.address)
  onTestFinished(async () => void (await made.close?.()))
  return made
}

async function expectSize(server: Server, count: number): Promise<void> {
  const { df, ...sizes } = await sizesOf(server, ceph, user)
  expect(sizes).toEqual({ cinder: gib(count), ceph: gib(count), device: gib(count) })
  expect(Number(df)).toBeGreaterThan(0.9 * Number(gib(count)))
  expect(df).toBeLessThan(gib(count))
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`

/** When Nova was told, and how long telling the emulator took. */
interface Told {
  at: number
  resize: number
}

function novaFor(server: Server): Told {
  const told: Told = { at: 0, resize: 0 }
  nova.onVolumeExtended = async ({ tag }) => {
    if (tag !== server.id) throw new Error(`Nobody has ${tag}.`)
    told.at = performance.now()
    told.resize = await passOn(server, user)
  }
  return told
}

/** As a person does it who looks every tenth of a second, over a connection that stands already. */
async function growByHand({ id, node, disk, filesystem }: Server, count: number, told: Told): Promise<number> {
  const begun = performance.now()
  const stalls = stallsOf(filesystem)
  expect(await extend(user, id, count)).toMatchObject({ status: 202 })
  const pause = 100
  for (;;) {
    const { size, status } = await look(user, id)
    if (size === count && status === 'in-use') break
    await sleep(pause)
  }
  while ((await node.sizeOf(disk.device)) < gib(count)) await sleep(pause)
  const seen = performance.now()
  await node.shell.run('resize2fs', disk.device)
  const grown = performance.now()
  await dfOf(node, filesystem.mountPoint)
  const all = performance.now() - begun
  const parts = [told.at - begun, told.resize, grown - seen] as const
  const sum = parts.reduce((total, part) => total + part)
  console.log(
    `by hand: ${seconds(all)} from the call to df; os-extend ${seconds(parts[0])}, block_resize ${seconds(parts[1])}, resize2fs ${seconds(parts[2])}, ` +
      `together ${seconds(sum)}; ratio ${(all / sum).toFixed(2)}; longest stall of the writer ${seconds(stalls())}`,
  )
  return sum
}

/** The host, and what each round trip to it took. */
function timedTrips(inner: Host): { readonly trips: string[]; readonly timed: Host } {
  const trips: string[] = []
  const batch: Host['batch'] = async <const Items extends readonly BatchItem[]>(
    items: Items,
    options?: Parameters<Host['batch']>[1],
  ) => {
    const begun = performance.now()
    const results = await inner.batch(items, options)
    const what = items.map((item) => ('read' in item ? item.read : 'exec' in item ? item.exec[0] : 'expect'))
    trips.push(`${[...new Set(what)].join('+')} ${seconds(performance.now() - begun)}`)
    return results
  }
  return { trips, timed: { ...inner, batch } }
}

/**
 * @param unavoidable milliseconds of what nobody can do without, as they were measured by hand
 * @param approved whether it is planned before, as people do it who look at a plan first: then the connection stands already
 */
async function growMeasured(
  server: Server,
  volume: Volume,
  to: string,
  told: Told,
  unavoidable: number,
  approved = false,
): Promise<Report> {
  const { trips, timed } = timedTrips(host())
  const request = { volume, host: timed, path: server.filesystem.mountPoint, to, timeouts: patient }
  const planned = approved ? await plan(request) : undefined
  trips.length = 0
  const begun = performance.now()
  const stalls = stallsOf(server.filesystem)
  const report = await (planned === undefined ? expand(request) : expand(planned))
  const done = performance.now() - begun
  // Over the connection that stands, as the person has one.
  const df = await timed.exec(['df', '-B1', '--output=size', server.filesystem.mountPoint])
  const all = performance.now() - begun
  expect(Number(df.stdout.trim().split('\n').at(-1))).toBeGreaterThan(0.9 * Number(parseSize(to)))
  const actions = report.actions.map(({ layer, milliseconds }) => `${layer} ${seconds(milliseconds)}`).join(', ')
  console.log(
    `one call${approved ? ' for a plan' : ''}: ${seconds(all)} from the call to df, ${seconds(done)} to the report; ${actions}, ratio to what was unavoidable by hand ${(all / unavoidable).toFixed(2)}, ${(done / unavoidable).toFixed(2)} to the report; Nova heard of it after ` +
      `${seconds(told.at - begun)}, block_resize ${seconds(told.resize)}; longest stall of the writer ${seconds(stalls())}\n` +
      `  ${trips.length} round trips to the server: ${trips.join('; ')}`,
  )
  return report
}

test('a volume on Ceph grows with the filesystem on it, while a server writes to it', async () => {
  const server = await serverWith(guest, ceph, user)
  const told = novaFor(server)
  await expectSize(server, 1)
  const byHand = await growByHand(server, 2, told)
  await expectSize(server, 2)
  const report = await growMeasured(server, cinder(optionsOf(user)).volume(server.id), '3Gi', told, byHand)
  expect(report.layers.map(({ kind }) => kind)).toEqual(['volume', 'device', 'filesystem'])
  expect(report.actions.map(({ layer, status }) => [layer, status])).toEqual([
    ['volume', 'done'],
    ['device', 'done'],
    ['filesystem', 'done'],
  ])
  expect(report.layers.map(({ after }) => after)).toEqual([gib(3), gib(3), gib(3)])
  await expectSize(server, 3)
  expect(nova.events.filter(({ tag }) => tag === server.id)).toHaveLength(2)

  const { expander, calls } = counted(optionsOf(user))
  await growMeasured(server, volumeOf(expander, server.id), '4Gi', told, byHand)
  await expectSize(server, 4)
  const posts = calls.filter(({ method }) => method === 'POST').map(({ path: called }) => called)
  expect(posts).toEqual([expect.stringContaining('/auth/tokens'), expect.stringContaining('/action')])
  console.log(
    `one call: ${calls.length} requests: ${calls.map(({ method, path: called }) => `${method} ${called}`).join('; ')}`,
  )

  // In turns, because the machine is not equally busy all the time.
  for (const size of [5, 7, 9]) {
    const beside = await growByHand(server, size, told)
    await growMeasured(server, volumeOf(expander, server.id), `${size + 1}Gi`, told, beside, true)
    await expectSize(server, size + 1)
  }
  await server.filesystem.expectIntact()
})

test('Nova is absent: the run says so instead of waiting, and the same call completes once the emulator was told', async () => {
  const server = await serverWith(guest, ceph, user)
  nova.absent = true
  const request = {
    volume: cinder(optionsOf(user)).volume(server.id),
    ...{ host: host(), path: server.filesystem.mountPoint, to: '2Gi', timeouts: patient },
  }
  const begun = performance.now()
  const error = await failureOf(expand(request))
  console.log(`Nova is absent: said after ${seconds(performance.now() - begun)}: ${error.message} ${error.remedy}`)
  expect(error).toMatchObject({ code: 'growth-not-passed-on', layer: 'device', provider: 'cinder', outcome: 'changed' })
  expect(error.remedy).toContain('reboot --hard')
  expect(await sizesOf(server, ceph, user)).toMatchObject({ cinder: gib(2), ceph: gib(2), device: gib(1) })
  await passOn(server, user)
  const report = await expand(request)
  expect(report.actions.map(({ layer, status }) => [layer, status])).toEqual([['filesystem', 'done']])
  await expectSize(server, 2)
  await server.filesystem.expectIntact()
})

test('a cloud whose volumes do not grow in use: told before anything is touched', async () => {
  const server = await serverWith(guest, ceph, user)
  const before = await sizesOf(server, ceph, user)
  const { api, expander, calls } = counted(optionsOf(user))
  // The server takes it for a client of that release.
  api.version = async () => 41
  const [volume, path] = [volumeOf(expander, server.id), server.filesystem.mountPoint]
  const error = await failureOf(expand({ volume, host: host(), path, to: '2Gi', timeouts: patient }))
  expect(error).toMatchObject({ code: 'offline-only', outcome: 'unchanged', layer: 'volume' })
  expect(calls.filter(({ path: called }) => called.endsWith('/action'))).toEqual([])
  expect(await sizesOf(server, ceph, user)).toEqual(before)
  await server.filesystem.expectIntact()
})

test('the example does it, and shows how', async () => {
  const server = await serverWith(guest, ceph, user)
  novaFor(server)
  const { authUrl, username, password, projectName } = user.credentials
  const { host: address, port, identity, knownHosts } = guest.address
  const { stdout } = await execute(
    'npx',
    [
      ...['--no-install', 'tsx', 'examples/cinder-online.ts', server.id, `root@${address}:${port}`],
      ...[server.filesystem.mountPoint, '2Gi'],
    ],
    {
      env: {
        ...{ PATH: process.env['PATH'], HOME: '/nonexistent', SSH_IDENTITY: identity, KNOWN_HOSTS: knownHosts },
        ...{ OS_AUTH_URL: authUrl, OS_USERNAME: username, OS_PASSWORD: password, OS_PROJECT_NAME: projectName },
        ...{ OS_USER_DOMAIN_NAME: 'Default', OS_PROJECT_DOMAIN_NAME: 'Default' },
      },
    },
  )
  console.log(stdout)
  expect(stdout).toMatch(/^Done:$/m)
  expect(stdout).toMatch(/^ {2}filesystem +1 GiB -> 2 GiB /m)
  expect(stdout).not.toContain(password)
  await expectSize(server, 2)
  await server.filesystem.expectIntact()
})
