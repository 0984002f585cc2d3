import { CinderApi } from '../../../providers/cinder/client.ts'
import { cinderExpander } from '../../../providers/cinder/expander.ts'
import { Memory } from '../../../providers/cinder/reading.ts'
import { type Ec2Client, ec2Calls } from '../../../providers/ebs/client.ts'
import { ebsExpander } from '../../../providers/ebs/expander.ts'
import { defaultPace, defaultPoll } from '../../../providers/ebs/limits.ts'
import { Sights } from '../../../providers/ebs/sights.ts'
import { restClient } from '../../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../../providers/gce-pd/expander.ts'
import { heketiClient } from '../../../providers/glusterfs/heketi/client.ts'
import { heketiExpander } from '../../../providers/glusterfs/heketi/expander.ts'
import { commandClient } from '../../../providers/rbd/commands.ts'
import { dashboardClient } from '../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { VolumeExpander, VolumeState } from '../../../src/expander.ts'
import { bytes, GiB, MiB, maxSize } from '../../../src/size.ts'
import { digitsIn, type Exact, exactAt, readExactly, wholeIn } from '../exact-json.ts'
import { type Answer, answeringHost, answeringHttp } from '../fakes.ts'
import { jsonOf, mutatedTree, Raw, soundJson, type Tree } from '../mutate.ts'
import type { Random } from '../random.ts'
import { type Attempt, attempt, attemptLater, checkRefusal, promise, type Target, target } from '../target.ts'
import { shownText } from '../text.ts'

/** The answers of one backend, by what is asked, as their texts; one or more of them are damaged. */
type Answers = Readonly<Record<string, string>>

interface Setting {
  readonly expander: VolumeExpander<unknown, unknown>
  readonly ref: unknown
  /** Sizes that were asked for in anything that changes the backend, in bytes. */
  readonly asked: bigint[]
}

interface Backend {
  readonly name: string
  readonly provider: string
  readonly cases: number
  /** Sound answers. */
  readonly sound: Readonly<Record<string, Tree>>
  setting(answers: Answers): Setting
  /** Bytes of the volume by a reading of its own; undefined when nothing certain is said. */
  sizeOf(answers: Answers): bigint | undefined
  readonly key: string
}

const positive = (value: bigint | undefined): bigint | undefined =>
  value === undefined || value < 0n ? undefined : value
const times = (value: bigint | undefined, unit: bigint): bigint | undefined =>
  value === undefined ? undefined : value * unit
const tenGiB = 10n * GiB

const volumeId = '11111111-2222-3333-4444-555555555555'
const heketiId = '0123456789abcdef0123456789abcdef'
const ec2Id = 'vol-0123456789abcdef0'
const anyExpander = (expander: unknown): VolumeExpander<unknown, unknown> =>
  expander as VolumeExpander<unknown, unknown>

const cinder: Backend = {
  name: 'answers-cinder',
  provider: 'cinder',
  cases: 6000,
  sound: {
    versions: { versions: [{ id: 'v3.0', version: '3.70', min_version: '3.0', status: 'CURRENT' }] },
    volume: {
      volume: {
        ...{ id: volumeId, size: 10, status: 'in-use', name: 'data', 'os-vol-tenant-attr:tenant_id': 'shop' },
        ...{ multiattach: false, encrypted: false, migration_status: null, volume_type: 'ssd' },
        attachments: [{ server_id: 'server-1', device: '/dev/vdb', attachment_id: 'a', volume_id: volumeId }],
      },
    },
    messages: { messages: [] },
    quota: {
      quota_set: {
        id: 'shop',
        gigabytes: { limit: 1000, in_use: 10, reserved: 0 },
        per_volume_gigabytes: { limit: -1, in_use: 0, reserved: 0 },
      },
    },
  },
  key: volumeId,
  setting(answers) {
    const asked: bigint[] = []
    const http = answeringHttp('cinder', ({ url, method, body }): Answer => {
      if (method === 'POST') {
        asked.push(
          BigInt((body as { readonly 'os-extend': { readonly new_size: number } })['os-extend'].new_size) * GiB,
        )
        return { status: 202, text: '' }
      }
      const path = `${url}`
      const which =
        path === 'versions'
          ? 'versions'
          : path.includes('/os-quota-sets')
            ? 'quota'
            : path.includes('/messages')
              ? 'messages'
              : 'volume'
      return { text: answers[which] ?? '' }
    })
    const client = {
      send: async ({
        path,
        versions,
        ...request
      }: {
        readonly method: 'GET' | 'POST'
        readonly path: string
        readonly versions?: boolean
        readonly body?: object
      }) => {
        const answer = await http.send({ ...request, url: versions === true ? 'versions' : path })
        return {
          status: answer.status,
          headers: answer.headers as Readonly<Record<string, string>>,
          body: answer.json(),
        }
      },
    }
    return {
      expander: anyExpander(cinderExpander({ api: new CinderApi(client), memory: new Memory(), scope: 's' })),
      ref: volumeId,
      asked,
    }
  },
  sizeOf({ volume = '' }) {
    const seen = exactAt(readExactly(volume), 'volume')
    if (exactAt(seen, 'id') !== volumeId) return undefined
    return times(positive(wholeIn(exactAt(seen, 'size'))), GiB)
  },
}

const compute = 'https://www.googleapis.com/compute/v1/projects/shop/zones/europe-west1-b'

const gce: Backend = {
  name: 'answers-gce-pd',
  provider: 'gce-pd',
  cases: 6000,
  sound: {
    disk: {
      ...{ kind: 'compute#disk', id: '42', name: 'data', sizeGb: '10', status: 'READY' },
      ...{
        type: `${compute}/diskTypes/pd-ssd`,
        users: [`${compute}/instances/vm-1`],
        lastAttachTimestamp: '2026-01-01T00:00:00Z',
      },
    },
    operations: {
      kind: 'compute#operationList',
      items: [{ name: 'op-1', operationType: 'insert', status: 'RUNNING', targetLink: `${compute}/disks/other` }],
    },
    type: { name: 'pd-ssd', validDiskSize: '10GB-65536GB' },
    instance: { name: 'vm-1', disks: [{ source: `${compute}/disks/data`, deviceName: 'data', interface: 'SCSI' }] },
  },
  key: 'zones/europe-west1-b/disks/data',
  setting(answers) {
    const asked: bigint[] = []
    const http = answeringHttp('gce-pd', ({ url, method, body }): Answer => {
      const path = new URL(`${url}`).pathname
      if (method !== 'GET' && path.endsWith('/resize')) {
        asked.push(BigInt((body as { readonly sizeGb: string }).sizeGb) * GiB)
        return {
          text: JSON.stringify({
            name: 'op-2',
            operationType: 'resizeDisk',
            status: 'RUNNING',
            targetLink: `${compute}/disks/data`,
          }),
        }
      }
      const which = path.includes('/operations')
        ? 'operations'
        : path.includes('/diskTypes/')
          ? 'type'
          : path.includes('/instances')
            ? 'instance'
            : 'disk'
      return { text: answers[which] ?? '' }
    })
    const expander = gcePdExpander(restClient({ id: 'c', credentials: () => 'token', http }), 'shop')
    return { expander: anyExpander(expander), ref: { zone: 'europe-west1-b', disk: 'data' }, asked }
  },
  sizeOf({ disk = '' }) {
    const seen = readExactly(disk)
    if (exactAt(seen, 'name') !== 'data') return undefined
    const size = exactAt(seen, 'sizeGb')
    return times(digitsIn(size) ?? positive(wholeIn(size)), GiB)
  },
}

/** A message of EC2's SDK: objects, since that client reads XML by itself. */
const ebs: Backend = {
  name: 'answers-ebs',
  provider: 'ebs',
  cases: 6000,
  sound: {
    DescribeVolumes: {
      Volumes: [
        {
          ...{ VolumeId: ec2Id, Size: 10, State: 'in-use', VolumeType: 'gp3', Iops: 3000, MultiAttachEnabled: false },
          Attachments: [{ InstanceId: 'i-1', Device: '/dev/sdf', State: 'attached' }],
          Operator: { Managed: false },
        },
      ],
    },
    DescribeVolumesModifications: {
      VolumesModifications: [
        {
          VolumeId: ec2Id,
          ModificationState: 'completed',
          OriginalSize: 8,
          TargetSize: 10,
          Progress: 100,
          StartTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  },
  key: ec2Id,
  setting(answers) {
    const asked: bigint[] = []
    const http = answeringHttp('ebs', ({ url }) => ({ text: answers[`${url}`] ?? '' }))
    const client: Ec2Client = {
      async send(command) {
        const action = command.constructor.name.replace(/Command$/, '')
        if (action === 'ModifyVolume') {
          const { input } = command as { readonly input: { readonly Size: number } }
          asked.push(BigInt(input.Size) * GiB)
          return {
            VolumeModification: {
              VolumeId: ec2Id,
              ModificationState: 'modifying',
              OriginalSize: 10,
              TargetSize: input.Size,
              Progress: 0,
              StartTime: new Date(0),
            },
          }
        }
        return dated((await http.send({ method: 'GET', url: action })).json())
      },
    }
    const sights = new Sights(ec2Calls(async () => client))
    const expander = ebsExpander({
      scope: 's',
      sights,
      pace: defaultPace,
      poll: defaultPoll,
      date: () => new Date(1_800_000_000_000),
    })
    return { expander: anyExpander(expander), ref: ec2Id, asked }
  },
  sizeOf(answers) {
    const volumes = exactAt(readExactly(answers['DescribeVolumes'] ?? ''), 'Volumes')
    const own = (Array.isArray(volumes) ? (volumes as readonly Exact[]) : []).filter(
      (volume) => exactAt(volume, 'VolumeId') === ec2Id,
    )
    const shown = positive(wholeIn(exactAt(own.at(-1), 'Size')))
    const all = exactAt(readExactly(answers['DescribeVolumesModifications'] ?? ''), 'VolumesModifications')
    const changes = (Array.isArray(all) ? (all as readonly Exact[]) : []).filter(
      (each) => exactAt(each, 'VolumeId') === ec2Id,
    )
    const under = changes.filter((each) => exactAt(each, 'ModificationState') === 'modifying')
    // While one is under way the old size is what can be used; of several the newest counts, which this reading leaves open.
    if (under.length === 0 || shown === undefined) return times(shown, GiB)
    const originals = under.map((each) => wholeIn(exactAt(each, 'OriginalSize')))
    return changes.length > 1 || originals.includes(undefined)
      ? undefined
      : times(least(shown, originals[0] ?? shown), GiB)
  },
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}

/** Times are objects there. */
function dated(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dated)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      name === 'StartTime' && typeof each === 'string' ? new Date(each) : dated(each),
    ]),
  )
}

const rbdSound: Readonly<Record<string, Tree>> = {
  info: {
    ...{
      name: 'disk',
      id: '1f2e3d',
      size: 10_737_418_240,
      objects: 2560,
      order: 22,
      object_size: 4_194_304,
      snapshot_count: 0,
    },
    ...{ features: ['layering', 'exclusive-lock', 'object-map'], flags: [] },
  },
  status: { watchers: [{ address: '10.0.0.1:0/1', client: 4123, cookie: new Raw('18446462598732840961') }] },
  df: {
    stats: { total_bytes: 1 },
    pools: [{ name: 'rbd', id: 2, stats: { stored: 1000, max_avail: 1_000_000_000_000, quota_bytes: 0 } }],
  },
  health: { status: 'HEALTH_OK', checks: {}, mutes: [] },
  fsid: { fsid: '22222222-2222-3333-4444-555555555555' },
}

const rbdCommands: Backend = {
  name: 'answers-rbd',
  provider: 'rbd',
  cases: 6000,
  sound: rbdSound,
  key: 'rbd/disk',
  setting(answers) {
    const asked: bigint[] = []
    const host = answeringHost(({ exec }) => {
      if (exec.includes('resize'))
        asked.push(
          BigInt(/^--size=(\d+)M$/.exec(exec.find((each) => each.startsWith('--size=')) ?? '')?.[1] ?? 0) * MiB,
        )
      if (exec.includes('info')) return { stdout: answers['info'] ?? '' }
      if (exec.includes('status')) return { stdout: answers['status'] ?? '' }
      return { stdout: ['df', 'health', 'fsid'].map((which) => answers[which] ?? '').join('\n') }
    })
    return { expander: anyExpander(rbdExpander(commandClient({ host }))), ref: 'rbd/disk', asked }
  },
  sizeOf: ({ info = '' }) => {
    const size = exactAt(readExactly(info), 'size')
    return digitsIn(size) ?? positive(wholeIn(size))
  },
}

const dashboard: Backend = {
  name: 'answers-dashboard',
  provider: 'rbd',
  cases: 6000,
  sound: {
    login: { token: 'token', username: 'admin', permissions: {} },
    image: {
      ...{
        name: 'disk',
        id: '1f2e3d',
        size: 10_737_418_240,
        obj_size: 4_194_304,
        num_objs: 2560,
        features: 61,
        pool_name: 'rbd',
      },
      ...{ features_name: ['layering', 'exclusive-lock', 'object-map'], disk_usage: 4_194_304, namespace: null },
    },
    pool: {
      pool_name: 'rbd',
      flags_names: 'hashpspool',
      quota_max_bytes: 0,
      stats: { max_avail: { latest: 1_000_000_000_000 }, stored: { latest: 1000 } },
    },
    monitor: { mon_status: { monmap: { fsid: '22222222-2222-3333-4444-555555555555' } } },
  },
  key: 'rbd/disk',
  setting(answers) {
    const asked: bigint[] = []
    const client = answeringHttp('rbd', ({ url, method, body }) => {
      const path = new URL(`${url}`).pathname
      if (method === 'PUT') {
        asked.push(BigInt((body as { readonly size: number }).size))
        return { text: '' }
      }
      if (path.endsWith('/api/auth')) return { status: 201, text: answers['login'] ?? '' }
      return {
        text: answers[path.includes('/api/pool') ? 'pool' : path.includes('/api/monitor') ? 'monitor' : 'image'] ?? '',
      }
    })
    const expander = rbdExpander(
      dashboardClient({
        url: 'https://mgr.invalid:8443',
        username: 'u',
        password: 'p',
        allowUnguardedResize: true,
        client,
      }),
    )
    return { expander: anyExpander(expander), ref: 'rbd/disk', asked }
  },
  sizeOf: ({ image = '' }) => {
    const size = exactAt(readExactly(image), 'size')
    return digitsIn(size) ?? positive(wholeIn(size))
  },
}

let heketis = 0

const heketi: Backend = {
  name: 'answers-heketi',
  provider: 'glusterfs',
  cases: 6000,
  sound: {
    volume: {
      ...{
        id: heketiId,
        name: 'vol_1',
        size: 10,
        cluster: 'c',
        durability: { type: 'replicate', replicate: { replica: 3 } },
      },
      bricks: [{ id: 'b', path: '/b', device: 'd', node: 'n', volume: heketiId, size: 10_485_760 }],
    },
    operations: { total: 1, in_flight: 0, stale: 0, failed: 0, new: 0 },
  },
  key: heketiId,
  setting(answers) {
    const asked: bigint[] = []
    const http = answeringHttp('glusterfs', ({ url, method, body }) => {
      if (method === 'POST') {
        // What is to be added: to that, what the volume was said to have.
        asked.push(
          BigInt((body as { readonly expand_size: number }).expand_size) * GiB + (heketi.sizeOf(answers) ?? 0n),
        )
        return { status: 202, headers: { location: '/queue/q' }, text: '' }
      }
      return { text: answers[`${url}`.endsWith('/operations') ? 'operations' : 'volume'] ?? '' }
    })
    heketis += 1
    const client = heketiClient({ url: 'http://heketi.invalid', user: `user-${heketis}`, key: 'k', http })
    return { expander: anyExpander(heketiExpander(client, 'volumes')), ref: heketiId, asked }
  },
  sizeOf({ volume = '' }) {
    const seen = readExactly(volume)
    if (exactAt(seen, 'id') !== heketiId) return undefined
    const usable = exactAt(seen, 'usablesize')
    // Written by some versions only, and 0 where it is not known.
    if (usable === undefined || wholeIn(usable) === 0n) return times(positive(wholeIn(exactAt(seen, 'size'))), GiB)
    return times(positive(wholeIn(usable)), GiB)
  },
}

function damaged(backend: Backend, random: Random): Answers {
  const names = Object.keys(backend.sound)
  const chosen = random.oneIn(3)
    ? random.pick(names)
    : (names.find((name) => /volume|disk|info|image|DescribeVolumes$/i.test(name)) ?? '')
  return Object.fromEntries(
    Object.entries(backend.sound).map(([name, tree]) => {
      if (name !== chosen && !random.oneIn(10)) return [name, soundJson(tree)]
      return [name, jsonOf(random, mutatedTree(random, tree))]
    }),
  )
}

/** Every refusal is the provider's own, about the volume, and with an outcome. */
function checkProviderRefusal(backend: Backend, error: unknown, outcome: string | undefined): void {
  promise(
    error instanceof VolumeExpansionError,
    () => `a crash: ${error instanceof Error ? error.stack : String(error)}`,
  )
  promise(error.layer === 'volume', () => `the layer of ${error.code} is ${error.layer}: ${error.message}`)
  promise(
    error.provider === backend.provider,
    () => `the provider of ${error.code} is ${error.provider}: ${error.message}`,
  )
  if (outcome !== undefined)
    promise(error.outcome === outcome, () => `the outcome of ${error.code} is ${error.outcome}`)
  checkRefusal(error)
}

function checkState(backend: Backend, answers: Answers, state: VolumeState): void {
  const { size } = state
  const wanted = backend.sizeOf(answers)
  promise(wanted !== undefined, () => `${size} bytes were read where nothing certain is said`)
  promise(size === wanted, () => `${size} bytes were read, and not ${wanted}`)
  promise(size >= 0n && size <= maxSize, () => `${size} bytes`)
  promise(state.key === backend.key, () => `the state is that of ${state.key}`)
  promise(
    state.progress === undefined || (state.progress >= 0 && state.progress <= 1),
    () => `its progress is ${state.progress}`,
  )
  promise(state.growingTo === undefined || state.growingTo >= 0n, () => `it grows to ${state.growingTo}`)
  for (const limit of state.limits ?? [])
    promise(limit.most >= 0n && limit.most <= maxSize, () => `a limit of ${limit.most}`)
  for (const found of [...(state.findings ?? []), ...(state.growthFindings ?? [])]) {
    promise(typeof found.message === 'string' && !/NaN|undefined|\[object/.test(found.message), () => found.message)
  }
}

function answersOf(backend: Backend): Target {
  return target<Answers>({
    name: backend.name,
    promise:
      'a size is exactly what a reading of its own finds in the answer, or there is an error of the provider; nothing is grown after an answer that does not bear it',
    cases: backend.cases,
    make: (random) => damaged(backend, random),
    async check(answers) {
      const { expander, ref } = backend.setting(answers)
      const read: Attempt<readonly unknown[]> = await attemptLater(() => expander.read([ref], {}))
      let verdict = 'refused'
      if ('error' in read) checkProviderRefusal(backend, read.error, 'unchanged')
      else {
        const [found, ...others] = read.value
        promise(others.length === 0 && found !== undefined, () => 'one ref has one outcome')
        if (found instanceof Error) checkProviderRefusal(backend, found, 'unchanged')
        else {
          const state = found as VolumeState
          checkState(backend, answers, state)
          attempt(() => expander.identify(ref, state))
          verdict = 'read'
        }
      }
      const growing = backend.setting(answers)
      const grown = await attemptLater(() =>
        growing.expander.expand(growing.ref, { size: bytes(2n * tenGiB), options: undefined, requestId: volumeId }),
      )
      if ('error' in grown)
        checkProviderRefusal(backend, grown.error, growing.asked.length === 0 ? 'unchanged' : undefined)
      promise(growing.asked.length <= 1, () => `it was grown ${growing.asked.length} times`)
      for (const asked of growing.asked) promise(asked === 2n * tenGiB, () => `it was grown to ${asked}`)
      // An API without a guard of its own may only be asked after a look that bears it.
      if (backend === dashboard || backend === heketi) {
        const size = backend.sizeOf(answers)
        promise(
          growing.asked.length === 0 || (size !== undefined && size < 2n * tenGiB),
          () => `it was grown from ${size}`,
        )
      }
      return growing.asked.length > 0 ? `${verdict}, grown` : verdict
    },
    simpler: function* (answers) {
      for (const [name, tree] of Object.entries(backend.sound)) {
        const sound = soundJson(tree)
        if (answers[name] !== sound) yield { ...answers, [name]: sound }
      }
    },
    show: (answers) =>
      shownText(
        Object.entries(answers)
          .map(([name, text]) => `${name}: ${text}`)
          .join('\n'),
      )
        .replaceAll('\\n', '\n')
        .replaceAll('\\"', '"'),
  })
}

export const backendTargets: readonly Target[] = [cinder, gce, ebs, rbdCommands, dashboard, heketi].map(answersOf)
