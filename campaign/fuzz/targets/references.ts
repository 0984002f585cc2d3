import { CinderApi } from '../../../providers/cinder/client.ts'
import { cinderExpander } from '../../../providers/cinder/expander.ts'
import { Memory } from '../../../providers/cinder/reading.ts'
import { ec2Calls } from '../../../providers/ebs/client.ts'
import { ebsExpander } from '../../../providers/ebs/expander.ts'
import { defaultPace, defaultPoll } from '../../../providers/ebs/limits.ts'
import { Sights } from '../../../providers/ebs/sights.ts'
import { localFiles } from '../../../providers/file/client.ts'
import { fileExpander } from '../../../providers/file/expander.ts'
import { restClient } from '../../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../../providers/gce-pd/expander.ts'
import { glusterExpander } from '../../../providers/glusterfs/expander.ts'
import { heketiClient } from '../../../providers/glusterfs/heketi/client.ts'
import { heketiExpander } from '../../../providers/glusterfs/heketi/expander.ts'
import { commandClient } from '../../../providers/rbd/commands.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { VolumeExpander } from '../../../src/expander.ts'
import { answeringHost, answeringHttp } from '../fakes.ts'
import { mutatedTree, nastyValue, plainOf, type Tree } from '../mutate.ts'
import type { Random } from '../random.ts'
import { attempt, attemptLater, checkRefusal, promise, type Target, target } from '../target.ts'
import { mutatedText, nastyText, shownText } from '../text.ts'

type AnyExpander = VolumeExpander<unknown, unknown>

/** Every argument vector that a provider has given to its host. */
const asked: (readonly string[])[] = []
const host = answeringHost(({ exec }) => {
  asked.push(exec)
  return { stdout: '{}' }
})

const failing = { send: async (): Promise<never> => Promise.reject(new Error('nobody is there')) }
const http = answeringHttp('nobody', () => ({ status: 500, text: '' }))

const expanders = {
  ebs: ebsExpander({
    scope: 's',
    sights: new Sights(ec2Calls(async () => failing)),
    pace: defaultPace,
    poll: defaultPoll,
    date: () => new Date(0),
  }),
  cinder: cinderExpander({ api: new CinderApi(failing), memory: new Memory(), scope: 's' }),
  'gce-pd': gcePdExpander(restClient({ id: 'c', credentials: () => 'token', http }), 'shop'),
  rbd: rbdExpander(commandClient({ host })),
  glusterfs: glusterExpander({ host }),
  heketi: heketiExpander(heketiClient({ url: 'http://heketi.invalid', key: 'k', http }), 'volumes'),
  file: fileExpander({ ...localFiles, canonical: (path) => path }),
} as const

type Name = keyof typeof expanders
const names = Object.keys(expanders) as Name[]
const expanderOf = (name: Name): AnyExpander => expanders[name] as unknown as AnyExpander

const hexadecimal = '0123456789abcdef'
const hexDigits = (random: Random, count: number): string =>
  Array.from({ length: count }, () => hexadecimal.charAt(random.below(16))).join('')
const isHex = (text: string): boolean => text !== '' && [...text].every((digit) => hexadecimal.includes(digit))
const uuid = (random: Random): string => [8, 4, 4, 4, 12].map((count) => hexDigits(random, count)).join('-')
const word = (random: Random): string =>
  random.pick(['data', 'pool-1', 'a', 'vol_7', 'web-data-0', 'DB', 'x'.repeat(70)])

/** Refs that are as good as any. */
const valid: Readonly<Record<Name, (random: Random) => Tree>> = {
  ebs: (random) => `vol-${hexDigits(random, random.oneIn(2) ? 8 : 17)}`,
  cinder: (random) => (random.oneIn(2) ? uuid(random) : { id: uuid(random), overhead: '2Mi' }),
  'gce-pd': (random) => {
    const zone = random.pick(['europe-west1-b', 'us-central1-a'])
    if (random.oneIn(3))
      return `${random.pick(['', 'https://www.googleapis.com/compute/v1/', '/'])}projects/shop/zones/${zone}/disks/data`
    return {
      ...(random.oneIn(2) ? { zone } : { region: 'europe-west1' }),
      disk: 'data',
      ...(random.oneIn(3) ? { deviceName: 'disk-1', interface: 'NVME' } : {}),
    }
  },
  rbd: (random) => {
    const pool = random.pick(['rbd', '-pool', '--help', 'über'])
    const namespace = random.oneIn(3) ? [word(random)] : []
    const image = random.pick(['disk', '-rf', '--id=evil', word(random)])
    return random.oneIn(2) ? [pool, ...namespace, image].join('/') : { pool, namespace: namespace[0] ?? '', image }
  },
  glusterfs: (random) => (random.oneIn(3) ? { name: word(random), rebalance: 'none' } : word(random)),
  heketi: (random) => hexDigits(random, 32),
  file: (random) => `/srv/${word(random)}/${random.pick(['disk.img', '-rf', 'a b', 'x'.repeat(300), '…'])}`,
}

const isWellFormed = (text: string): boolean => !/[\ud800-\udfff]/u.test(text)

const own = (ref: unknown, field: string): unknown =>
  typeof ref === 'object' && ref !== null && Object.hasOwn(ref, field) ? Reflect.get(ref, field) : undefined

/** RFC 1035, letter by letter. */
function isLabel(text: unknown): text is string {
  const lower = 'abcdefghijklmnopqrstuvwxyz'
  if (
    typeof text !== 'string' ||
    text === '' ||
    text.length > 63 ||
    !lower.includes(text.charAt(0)) ||
    text.endsWith('-')
  )
    return false
  for (const one of text) if (!`${lower}0123456789-`.includes(one)) return false
  return true
}

function linkKey(text: string): string | undefined {
  const parts = text.split('/')
  const [kind, place, disks, disk] = parts.slice(-4)
  if (parts.at(-6) !== 'projects' || disks !== 'disks' || (kind !== 'zones' && kind !== 'regions')) return undefined
  return isLabel(place) && isLabel(disk) ? `${kind}/${place}/disks/${disk}` : undefined
}

/** The key that a ref has to have, by a reading of its own; undefined when it can name nothing. */
const keyOf: Readonly<Record<Name, (ref: unknown) => string | undefined>> = {
  ebs(ref) {
    const id = typeof ref === 'string' ? ref : own(ref, 'id')
    if (typeof id !== 'string' || !id.startsWith('vol-') || !isHex(id.slice(4))) return undefined
    return id.length === 12 || id.length === 21 ? id : undefined
  },
  cinder(ref) {
    const id = typeof ref === 'string' ? ref : own(ref, 'id')
    if (typeof id !== 'string') return undefined
    const digits = id.toLowerCase().split('-').join('')
    if (digits.length !== 32 || !isHex(digits) || !/^[\w-]*$/.test(id)) return undefined
    return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
      '-',
    )
  },
  'gce-pd'(ref) {
    if (typeof ref === 'string') return linkKey(ref)
    const [zone, region, disk] = [own(ref, 'zone'), own(ref, 'region'), own(ref, 'disk')]
    if (!isLabel(disk) || (zone === undefined) === (region === undefined) || !isLabel(zone ?? region)) return undefined
    return zone === undefined ? `regions/${region}/disks/${disk}` : `zones/${zone}/disks/${disk}`
  },
  rbd(ref) {
    const namespace = own(ref, 'namespace') ?? ''
    const parts =
      typeof ref === 'string'
        ? ref.split('/')
        : [own(ref, 'pool'), ...(namespace === '' ? [] : [namespace]), own(ref, 'image')]
    if (parts.length < 2 || parts.length > 3) return undefined
    for (const part of parts) {
      if (typeof part !== 'string' || part === '' || /[/@]/.test(part) || !isWellFormed(part)) return undefined
    }
    return parts.join('/')
  },
  glusterfs(ref) {
    const name = typeof ref === 'object' ? own(ref, 'name') : ref
    if (typeof name !== 'string' || name === '' || name === 'all' || name.startsWith('-') || name.length > 256)
      return undefined
    for (const one of name) if (!/^[A-Za-z0-9_-]$/.test(one)) return undefined
    return name
  },
  heketi: (ref) => (typeof ref === 'string' && ref.length === 32 && isHex(ref) ? ref : undefined),
  file: (ref) =>
    typeof ref === 'string' && ref.startsWith('/') && !ref.includes('\0') && isWellFormed(ref) ? ref : undefined,
}

/** An argument of another type than a size is the caller's mistake: a TypeError at once, see the target of that name. */
function isMisusedSize(size: unknown): boolean {
  return size !== undefined && typeof size !== 'string' && typeof size !== 'bigint'
}

interface Reference {
  readonly provider: Name
  readonly ref: unknown
}

const shapes: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => 5,
  () => Symbol('x'),
  () => () => 'x',
  () => new Map([['id', 'x']]),
  () => Object.create(null),
  () => JSON.parse('{"__proto__":{"id":"vol-0123456789abcdef0","pool":"rbd","image":"x"}}'),
  () => {
    const cyclic: Record<string, unknown> = { id: 'x', name: 'data' }
    cyclic['id'] = cyclic
    cyclic['name'] = cyclic
    return cyclic
  },
]

function reference(random: Random): Reference {
  const provider = random.pick(names)
  const tree = valid[provider](random)
  if (random.oneIn(60)) return { provider, ref: random.pick(shapes)() }
  if (random.oneIn(8)) return { provider, ref: plainOf(random.oneIn(2) ? nastyValue(random) : nastyText(random)) }
  if (random.oneIn(6)) return { provider, ref: plainOf(tree) }
  if (typeof tree !== 'string') return { provider, ref: plainOf(mutatedTree(random, tree)) }
  if (provider === 'ebs' && random.oneIn(4)) return { provider, ref: { id: mutatedText(random, tree) } }
  return { provider, ref: mutatedText(random, tree) }
}

function show({ provider, ref }: Reference): string {
  try {
    return `${provider} ${shownText(typeof ref === 'string' ? ref : (JSON.stringify(ref) ?? String(ref)))}`
  } catch {
    return `${provider} with an object that has no JSON`
  }
}

/** The options of the commands that providers run; anything else that begins with a hyphen would have come from a name. */
const options =
  /^--(?:client-mount-timeout|rados-mon-op-timeout|rados-osd-op-timeout|connect-timeout)=\d+$|^--(?:format=json|mode=script|xml)$/

function checkArguments(provider: Name, key: string, argv: readonly string[]): void {
  const [program = '', ...rest] = argv
  promise(['rbd', 'ceph', 'gluster'].includes(program), () => `it ran ${program}`)
  const parts = key.split('/')
  const named =
    provider === 'rbd'
      ? [`--pool=${parts[0]}`, `--image=${parts.at(-1)}`, ...(parts.length === 3 ? [`--namespace=${parts[1]}`] : [])]
      : []
  if (program === 'rbd')
    for (const option of named) promise(rest.includes(option), () => `${option} is not in ${rest.join(' ')}`)
  for (const argument of rest) {
    const stray = argument.startsWith('-') && !options.test(argument) && !named.includes(argument)
    promise(!stray, () => `${JSON.stringify(argument)} would be an option`)
  }
}

const references: Target = target<Reference>({
  name: 'references',
  promise:
    'a ref names the one volume that a reading of its own finds in it, or is refused with invalid-reference; nothing in it becomes an option',
  cases: 25_000,
  make: reference,
  async check({ provider, ref }) {
    const expander = expanderOf(provider)
    if (provider === 'cinder' && isMisusedSize(own(ref, 'overhead'))) return 'cinder misused'
    const found = attempt(() => expander.normalize(ref))
    asked.length = 0
    http.requests.length = 0
    const later = await attemptLater(() => expander.read([ref], {}))
    const wanted = keyOf[provider](ref)
    if ('error' in found) {
      const { error } = found
      const isSize = error.code === 'invalid-size' && provider === 'cinder'
      promise(error.code === 'invalid-reference' || isSize, () => `refused with ${error.code}`)
      promise(error.outcome === 'unchanged', () => `the outcome is ${error.outcome}`)
      checkRefusal(error)
      promise(asked.length === 0, () => 'a command was run for it')
      promise(
        'value' in later && later.value.length === 1 && later.value[0] instanceof VolumeExpansionError,
        () => 'read does not refuse it alone',
      )
      return `${provider} refused`
    }
    const { key } = found.value
    promise(wanted !== undefined, () => `it was taken for ${JSON.stringify(key)}`)
    promise(key === wanted, () => `taken for ${JSON.stringify(key)} and not for ${JSON.stringify(wanted)}`)
    for (const argv of asked) checkArguments(provider, key, argv)
    return `${provider} named`
  },
  simpler: function* ({ provider, ref }) {
    if (typeof ref !== 'string') return
    for (let at = 0; at < ref.length; at += 1) yield { provider, ref: ref.slice(0, at) + ref.slice(at + 1) }
  },
  show,
})

/** PersistentVolumes as clusters have them. */
const persistentVolumes: readonly Tree[] = [
  {
    metadata: { name: 'pv' },
    spec: { csi: { driver: 'ebs.csi.aws.com', volumeHandle: 'vol-0123456789abcdef0', fsType: 'ext4' } },
  },
  { spec: { awsElasticBlockStore: { volumeID: 'aws://eu-west-1a/vol-0123456789abcdef0' } } },
  { spec: { csi: { driver: 'cinder.csi.openstack.org', volumeHandle: '11111111-2222-3333-4444-555555555555' } } },
  { spec: { cinder: { volumeID: '11111111-2222-3333-4444-555555555555' } } },
  { spec: { csi: { driver: 'pd.csi.storage.gke.io', volumeHandle: 'projects/shop/zones/europe-west1-b/disks/data' } } },
  {
    spec: {
      csi: { driver: 'pd.csi.storage.gke.io', volumeHandle: 'projects/UNSPECIFIED/regions/europe-west1/disks/data' },
    },
  },
  {
    metadata: { labels: { 'topology.kubernetes.io/zone': 'europe-west1-b__europe-west1-c' } },
    spec: {
      gcePersistentDisk: { pdName: 'data' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: 'topology.kubernetes.io/zone', operator: 'In', values: ['europe-west1-b', 'europe-west1-c'] },
              ],
            },
          ],
        },
      },
    },
  },
  {
    metadata: { labels: { 'failure-domain.beta.kubernetes.io/zone': 'us-central1-a' } },
    spec: { gcePersistentDisk: { pdName: 'data' } },
  },
  {
    spec: {
      csi: {
        driver: 'rook-ceph.rbd.csi.ceph.com',
        volumeAttributes: { pool: 'rbd', radosNamespace: 'team', imageName: 'csi-vol-1' },
      },
    },
  },
  { spec: { csi: { driver: 'rbd.csi.ceph.com', volumeAttributes: { pool: 'rbd', imageName: 'csi-vol-1' } } } },
  { spec: { rbd: { monitors: ['10.0.0.1:6789'], pool: 'kube', image: 'disk' } } },
  { spec: { glusterfs: { endpoints: 'g', path: '/data/dir' } } },
  {
    metadata: { annotations: { 'gluster.kubernetes.io/heketi-volume-id': '0123456789abcdef0123456789abcdef' } },
    spec: { glusterfs: { endpoints: 'g', path: 'vol_x' } },
  },
  { spec: { glusterfs: { endpoints: 'g', path: 'vol_0123456789abcdef0123456789abcdef' } } },
  { spec: { nfs: { server: 's', path: '/' } } },
]

const at = (value: unknown, ...path: readonly string[]): unknown => path.reduce(own, value)

/** `undefined` when the field is not there, or null as Go writes what is not there. */
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const zoneNames: readonly string[] = [
  'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.gke.io/zone',
]
const entriesOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Keys that a PersistentVolume may be taken for, by provider; undefined: it names none of its volumes for certain. */
const volumeIn: Readonly<Record<Name, (pv: unknown) => string | undefined>> = {
  ebs(pv) {
    const handle = text(
      at(pv, 'spec', 'csi', 'driver') === 'ebs.csi.aws.com'
        ? at(pv, 'spec', 'csi', 'volumeHandle')
        : at(pv, 'spec', 'awsElasticBlockStore', 'volumeID'),
    )
    return keyOf.ebs(handle?.startsWith('aws://') ? handle.split('/').at(-1) : handle)
  },
  cinder: (pv) =>
    keyOf.cinder(
      text(
        at(pv, 'spec', 'csi', 'driver') === 'cinder.csi.openstack.org'
          ? at(pv, 'spec', 'csi', 'volumeHandle')
          : at(pv, 'spec', 'cinder', 'volumeID'),
      ),
    ),
  'gce-pd'(pv) {
    if (at(pv, 'spec', 'csi', 'driver') === 'pd.csi.storage.gke.io') {
      const handle = text(at(pv, 'spec', 'csi', 'volumeHandle'))
      return handle === undefined ? undefined : linkKey(handle)
    }
    const disk = at(pv, 'spec', 'gcePersistentDisk', 'pdName')
    if (!isLabel(disk)) return undefined
    const labelled = zoneNames
      .map((name) => own(at(pv, 'metadata', 'labels'), name))
      .flatMap((value) => (typeof value === 'string' ? value.split('__') : []))
    const affine = entriesOf(at(pv, 'spec', 'nodeAffinity', 'required', 'nodeSelectorTerms'))
      .flatMap((term) => entriesOf(own(term, 'matchExpressions')))
      .filter((one) => zoneNames.includes(own(one, 'key') as string) && own(one, 'operator') === 'In')
      .flatMap((one) => entriesOf(own(one, 'values')))
    const said = [labelled, affine].map((zones) => [...new Set(zones)].sort().join(' ')).filter((zones) => zones !== '')
    // What labels and affinity say has to be one thing.
    if (said.length === 0 || (said[1] !== undefined && said[0] !== said[1])) return undefined
    const zones = said[0]?.split(' ') ?? []
    if (!zones.every(isLabel)) return undefined
    if (zones.length === 1) return `zones/${zones[0]}/disks/${disk}`
    const regions = new Set(zones.map((zone) => zone.slice(0, zone.lastIndexOf('-'))))
    return zones.length === 2 && regions.size === 1 ? `regions/${[...regions][0]}/disks/${disk}` : undefined
  },
  rbd(pv) {
    const csi = at(pv, 'spec', 'csi')
    if (csi !== undefined && csi !== null) {
      const driver = text(own(csi, 'driver')) ?? ''
      if (driver !== 'rbd.csi.ceph.com' && !driver.endsWith('.rbd.csi.ceph.com')) return undefined
      const attributes = own(csi, 'volumeAttributes')
      return keyOf.rbd({
        pool: own(attributes, 'pool'),
        namespace: own(attributes, 'radosNamespace') ?? '',
        image: own(attributes, 'imageName'),
      })
    }
    const inTree = at(pv, 'spec', 'rbd')
    return own(inTree, 'monitors') === undefined
      ? undefined
      : keyOf.rbd({ pool: own(inTree, 'pool') ?? 'rbd', image: own(inTree, 'image') })
  },
  glusterfs(pv) {
    const path = text(at(pv, 'spec', 'glusterfs', 'path'))
    return keyOf.glusterfs(path?.startsWith('/') ? path.split('/')[1] : path?.split('/')[0])
  },
  heketi(pv) {
    if (volumeIn.glusterfs(pv) === undefined) return undefined
    const annotated = own(at(pv, 'metadata', 'annotations'), 'gluster.kubernetes.io/heketi-volume-id')
    const name = volumeIn.glusterfs(pv) ?? ''
    if (typeof annotated === 'string') return keyOf.heketi(annotated)
    return annotated === undefined || annotated === null
      ? keyOf.heketi(name.startsWith('vol_') ? name.slice(4) : undefined)
      : undefined
  },
  file: () => undefined,
}

const claimed: Target = target<unknown>({
  name: 'persistent-volumes',
  promise:
    'of a PersistentVolume each provider takes the one volume that it names for certain, or none; it never fails otherwise',
  cases: 80_000,
  make(random) {
    if (random.oneIn(50)) return random.pick(shapes)()
    if (random.oneIn(50)) return plainOf(nastyValue(random))
    const tree = random.pick(persistentVolumes)
    const changed = mutatedTree(random, tree)
    // As it comes from the API server: text that was parsed, in which __proto__ is a member like any other.
    return plainOf(changed)
  },
  check(pv) {
    const verdicts: string[] = []
    for (const name of names) {
      const expander = expanderOf(name)
      const found = attempt(() => {
        const ref = expander.fromPersistentVolume?.(pv as object)
        return ref === undefined ? undefined : expander.normalize(ref).key
      })
      if ('error' in found) {
        promise(found.error.code === 'invalid-reference', () => `${name} refused with ${found.error.code}`)
        checkRefusal(found.error)
        continue
      }
      if (found.value === undefined) continue
      const wanted = volumeIn[name](pv)
      promise(
        wanted === found.value,
        () => `${name} took it for ${JSON.stringify(found.value)} and not for ${JSON.stringify(wanted)}`,
      )
      verdicts.push(name)
    }
    // A volume of GlusterFS that Heketi made is both's: by its name, and by its id there.
    const sources = verdicts.filter((name) => name !== 'heketi')
    promise(sources.length <= 1, () => `it is of ${sources.join(' and ')}`)
    return verdicts.length === 0 ? "nobody's" : verdicts.join('+')
  },
  show(pv) {
    return show({ provider: 'file', ref: pv }).slice('file '.length)
  },
})

export const referenceTargets: readonly Target[] = [references, claimed]
