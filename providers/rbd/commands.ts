import { asExpansionError, type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import { checkPath } from '../../src/hosts/command.ts'
import type { ExecItem, ExecResult, Host } from '../../src/hosts/host.ts'
import { localHost } from '../../src/hosts/local/index.ts'
import { type Bytes, MiB } from '../../src/size.ts'
import type { ClientOptions, ClusterFacts, ImageFacts, RbdClient, Reading, SnapshotClient } from './client.ts'
import { clusterFacts, clusterQuestions } from './cluster.ts'
import { commandError, providerName, rbdError, timedOut } from './errors.ts'
import { imageFacts, sizeIn, snapshotNames } from './output.ts'
import { type ImageName, specOf } from './ref.ts'

/** A cluster, as the commands `rbd` and `ceph` of a host reach it. */
export interface RbdCluster {
  /** Where the commands run. Left out: this machine. */
  readonly host?: Host
  /** Absolute path of the cluster's configuration on that host. Left out: what Ceph takes by itself, /etc/ceph/ceph.conf. */
  readonly conf?: string
  /** The user of Ceph, without `client.`. Left out: what Ceph takes by itself, `admin`. */
  readonly user?: string
  /** Absolute path of the user's keyring on that host. Left out: where the configuration says. A key is never given in any other way. */
  readonly keyring?: string
  /** Milliseconds that one command may wait for the cluster, from 1000. Left out: 20 000. */
  readonly timeout?: number
}

const usualTimeout = 20_000
/** Milliseconds by which the host ends a command that its own deadlines did not end. */
const grace = 10_000
/** The manager tells the monitors every 5 seconds how full everything is (mgr_stats_period): asking more often brings nothing. */
const clusterMemory = 5_000

// A missing image, a right that is missing and a read-only one are the answer about that image; what else fails would fail for the others too, and the rest
// of the batch is then skipped: a cluster that hangs costs one deadline, and not one for each image.
const answers = [0, 1, 2, 22, 30]
/** Whatever `rbd resize` says, the size is looked at in the same round trip; unless the cluster hangs, which would only hang once more. */
const anyAnswer = Array.from({ length: 256 }, (_, code) => code).filter((code) => code !== timedOut)
/** Exit code of `rbd resize` when it does nothing: the size is there, or more (EINVAL). It says so in the same words for any other reason. */
const refusedBySize = 22
const existsAlready = 17
const missing = 2

/** @throws {TypeError} for a path that is not absolute, a user that is none, a timeout below a second */
export function commandClient(cluster: RbdCluster, now: () => number = () => performance.now()): RbdClient {
  const { host = localHost(), conf, user, keyring, timeout = usualTimeout } = cluster
  if (conf !== undefined) checkPath(conf, 'conf')
  if (keyring !== undefined) checkPath(keyring, 'keyring')
  if (user !== undefined && !/^[\w][\w.-]*$/.test(user))
    throw new TypeError('`user` is a user of Ceph, such as cinder.')
  if (!(timeout >= 1000)) throw new TypeError('`timeout` is at least 1000 milliseconds.')
  const seconds = Math.round(timeout / 1000)
  const access = [
    ...(conf === undefined ? [] : ['--conf', conf]),
    // `--user` and `client.` in front of the name are what people write, `--id` takes neither.
    ...(user === undefined ? [] : ['--id', user.replace(/^client\./, '')]),
    ...(keyring === undefined ? [] : ['--keyring', keyring]),
  ]
  const deadlines = [
    `--client-mount-timeout=${seconds}`,
    `--rados-mon-op-timeout=${seconds}`,
    `--rados-osd-op-timeout=${seconds}`,
  ]
  const deadline = timeout + grace
  const rbd = (command: readonly string[], name: ImageName, options: readonly string[] = []): readonly string[] => [
    ...['rbd', ...access, ...deadlines, ...command],
    `--pool=${name.pool}`,
    ...(name.namespace === '' ? [] : [`--namespace=${name.namespace}`]),
    `--image=${name.image}`,
    ...options,
  ]
  const asking = (argv: readonly string[], accept: readonly number[] = answers): ExecItem => ({
    ...{ exec: argv, deadline, accept },
  })
  let remembered: { readonly at: number; readonly facts: ClusterFacts } | undefined

  async function run<const Items extends readonly ExecItem[]>(
    items: Items,
    { signal }: ClientOptions,
    outcome: Outcome,
  ): Promise<readonly ExecResult[]> {
    try {
      return await host.batch(items, signal === undefined ? {} : { signal })
    } catch (thrown) {
      throw ofTheVolume(thrown, outcome)
    }
  }

  async function read(names: readonly ImageName[], options: ClientOptions): Promise<Reading> {
    const known = remembered !== undefined && now() - remembered.at < clusterMemory ? remembered.facts : undefined
    const perImage = names.flatMap((name) => [
      asking(rbd(['info', '--format=json'], name)),
      asking(rbd(['status', '--format=json'], name)),
    ])
    const capacity: ExecItem = {
      exec: ['ceph', ...access, `--connect-timeout=${seconds}`, '--format=json'],
      // One process for all questions: without a command in its arguments it reads commands.
      stdin: Buffer.from(clusterQuestions),
      deadline,
    }
    const results = await run(known === undefined ? [...perImage, capacity] : perImage, options, 'unchanged')
    // What is written here is never about the images: a user who may not ask is answered with images all the same.
    const cluster = known ?? clusterFacts(results[perImage.length])
    if (known === undefined && cluster.pools.size > 0) remembered = { at: now(), facts: cluster }
    const broken = results.find(({ ok, ended }, index) => index < perImage.length && !ok && ended !== 'skipped')
    const images = names.map((name, index): ImageFacts | Error => {
      const [info, status] = [results[2 * index], results[2 * index + 1]]
      if (info === undefined || status === undefined)
        throw new TypeError('A host answered a batch with too few results.')
      if (info.ended === 'exited' && info.exitCode === 0) return factsOf(info, status, specOf(name))
      return commandError(info.ended === 'skipped' && broken !== undefined ? broken : info, specOf(name), 'unchanged')
    })
    return { images, cluster }
  }

  async function grow(name: ImageName, size: Bytes, options: ClientOptions): Promise<Bytes | undefined> {
    const spec = specOf(name)
    const resize: ExecItem = {
      // Without --allow-shrink librbd compares sizes by itself, with the one that it has read when it opened the image.
      exec: rbd(['resize', '--no-progress'], name, [`--size=${size / MiB}M`]),
      deadline,
      detached: true,
      accept: anyAnswer,
    }
    const [resized, info] = await run([resize, asking(rbd(['info', '--format=json'], name), [0])], options, 'unknown')
    if (resized === undefined || info === undefined)
      throw new TypeError('A host answered a batch with too few results.')
    // Twice in a row there is no such image.
    const isMissing = resized.exitCode === missing && info.exitCode === missing
    if (!resized.ok || isMissing) throw commandError(resized, spec, 'unknown')
    const measured = remeasured(info, spec, resized.exitCode === refusedBySize ? 'unchanged' : 'unknown')
    if (measured >= size || resized.exitCode === 0) return measured
    if (resized.exitCode !== refusedBySize) throw commandError(resized, spec, 'unknown')
    throw rbdError('backend-failed', `rbd did not grow ${spec}, and did not say why (${resized.stderr.trim()}).`, {
      outcome: 'unchanged',
      remedy:
        'See whether the size is above what the image can have (object-map: 256 000 000 objects), and look at the health of the cluster.',
    })
  }

  const snapshots: SnapshotClient = {
    async create(name, snapshot, options) {
      const exec = rbd(['snap', 'create', '--no-progress'], name, [`--snap=${snapshot}`])
      const [made] = await run([{ exec, deadline, detached: true, accept: [0, existsAlready] }], options, 'unknown')
      if (made?.ok !== true) throw commandError(made ?? neverRan(exec), specOf(name), 'unknown')
      return made.exitCode === existsAlready ? 'exists' : 'made'
    },
    async list(name, options) {
      const exec = rbd(['snap', 'ls', '--format=json'], name)
      const [listed] = await run([asking(exec, [0])], options, 'unchanged')
      if (listed?.ok !== true) throw commandError(listed ?? neverRan(exec), specOf(name), 'unchanged')
      return snapshotNames(listed, specOf(name))
    },
  }

  const scope = JSON.stringify(['cluster', host.id, conf ?? '', user ?? '', keyring ?? '', timeout])
  return { scope, read, grow, snapshots }
}

/** @param outcome what the command before it has left behind, as far as that can be known without this look */
function remeasured(info: ExecResult, spec: string, outcome: Outcome): Bytes {
  try {
    if (!info.ok) throw commandError(info, spec, outcome)
    return sizeIn(info, spec)
  } catch (error) {
    throw error instanceof VolumeExpansionError ? error.with({ outcome }) : error
  }
}

/** Without the status it is not known who has the image, nor whether it is being migrated: then it was not read. */
function factsOf(info: ExecResult, status: ExecResult, spec: string): ImageFacts | Error {
  if (status.exitCode !== 0) return commandError(status, spec, 'unchanged')
  try {
    return imageFacts(info, status, spec)
  } catch (error) {
    return asExpansionError(error, { layer: 'volume', provider: providerName, outcome: 'unchanged' })
  }
}

function neverRan(argv: readonly string[]): ExecResult {
  return { argv, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
}

/** A failure of the host that was to ask the backend is one of the volume's. */
function ofTheVolume(thrown: unknown, outcome: Outcome): VolumeExpansionError {
  const remedy = 'Check that the host which asks the cluster can be reached and used.'
  const error = asExpansionError(thrown, { layer: 'volume', outcome, remedy })
  // A connection that is lost leaves nothing unknown when nothing was to be changed.
  const left = outcome === 'unchanged' ? { outcome } : {}
  return error.with({ layer: 'volume', provider: providerName, remedy: error.remedy ?? remedy, ...left })
}
