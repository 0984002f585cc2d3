import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { logOf, type RunningPart, startPart, stopPart } from '../part.ts'
import { labDirectory } from '../register.ts'
import { endOfLogs, until } from '../waiting.ts'
import { Api } from './api.ts'
import { findBinaries } from './binaries.ts'
import { Authority, type Subject, writeKubeconfig } from './certificates.ts'

/** What a part's name begins with, and what `lab -- down` takes. */
export const partName = 'kubernetes'

export interface ClusterOptions {
  /** Feature gates of the API server and of the controller manager, such as `{ ExpandPersistentVolumes: false }`. */
  readonly gates?: Readonly<Record<string, boolean>>
  /** Admission plug-ins to leave out, such as `PersistentVolumeClaimResize`. */
  readonly withoutAdmission?: readonly string[]
  /** Further flags of the API server. */
  readonly apiServerFlags?: readonly string[]
  /** Controllers of the controller manager; empty: there is none at all. Left out: those that claims, quotas and workloads need, the in-tree expander not among them. */
  readonly controllers?: readonly string[]
  readonly directory?: string
}

/** What claims, quotas and workloads need. */
export const usualControllers: readonly string[] = [
  'persistentvolume-binder',
  'pvc-protection',
  'pv-protection',
  'resourcequota',
  'namespace',
  'statefulset',
  'deployment',
  'replicaset',
]

/** The controller that grows volumes of the in-tree plug-ins. */
export const inTreeExpander = 'persistentvolume-expander'

/** Generous: two processors, and other work beside it. */
const startSeconds = 180

/**
 * A real control plane on 127.0.0.1: etcd, kube-apiserver and kube-controller-manager, without nodes, scheduler or kubelets. Pods never run in it; tests play the
 * parts that are missing.
 */
export class Cluster {
  readonly server: string
  /** As an administrator, for whom no right is missing. */
  readonly admin: Api
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string
  readonly #parts: readonly RunningPart[]
  readonly #authority: Authority
  readonly #labDirectory: string

  private constructor(
    parts: readonly RunningPart[],
    server: string,
    authority: Authority,
    admin: Api,
    directory: string,
  ) {
    this.#parts = parts
    this.server = server
    this.#authority = authority
    this.admin = admin
    this.kubeconfig = join(authority.directory, 'admin.kubeconfig')
    this.#labDirectory = directory
  }

  /** Starts one and waits until it answers and its controllers run. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { directory = labDirectory(), controllers = usualControllers } = options
    const binaries = await findBinaries()
    const parts: RunningPart[] = []
    try {
      const etcd = await startEtcd(binaries.etcd, directory)
      parts.push(etcd)
      const etcdUrl = `http://127.0.0.1:${etcd.part.ports['client']}`
      await until('etcd', [etcd], startSeconds, async () => (await statusOf(`${etcdUrl}/health`)) === 200)
      const apiServer = await startApiServer(binaries.apiServer, etcdUrl, options, directory)
      parts.push(apiServer)
      const server = `https://127.0.0.1:${apiServer.part.ports['https']}`
      const authority = Authority.in(join(apiServer.part.directory, 'pki'))
      const identity = await authority.client({ name: 'admin', groups: ['system:masters'] })
      await writeKubeconfig(join(authority.directory, 'admin.kubeconfig'), server, authority, identity)
      const admin = new Api(server, authority.certificate, identity)
      const cluster = new Cluster(parts, server, authority, admin, directory)
      const answers = async (path: string): Promise<boolean> => (await admin.send('GET', path)).status === 200
      await until('the API server', [apiServer], startSeconds, () => answers('/readyz'))
      await until('the default namespace', [apiServer], startSeconds, () => answers('/api/v1/namespaces/default'))
      if (controllers.length > 0) {
        const manager = await startControllers(binaries.controllerManager, cluster, authority, {
          ...options,
          controllers,
        })
        parts.push(manager)
        await until('the controllers', [manager], startSeconds, async () => {
          const log = await cluster.log('controller-manager')
          return controllers.every((name) => log.includes(`Started "${name}"`))
        })
      }
      return cluster
    } catch (cause) {
      const logs = await endOfLogs(parts.map(({ part }) => part))
      for (const { part } of parts.reverse()) await stopPart(part, directory)
      throw new Error(`The API server did not come up. What it said at the end:\n${logs}`, { cause })
    }
  }

  /** A user with no right at all, until a role is bound to it; returns the path of its kubeconfig. Names are valid in a path. */
  async user(subject: Subject): Promise<string> {
    const path = join(this.#authority.directory, `${subject.name}.kubeconfig`)
    return writeKubeconfig(path, this.server, this.#authority, await this.#authority.client(subject))
  }

  /** What the part that answers to this name has said so far. */
  async log(part: 'etcd' | 'apiserver' | 'controller-manager'): Promise<string> {
    const running = this.#parts.find(({ part: { name } }) => name === `${partName}-${part}`)
    return running === undefined ? '' : readFile(logOf(running.part.directory), 'utf8')
  }

  /** The labels of a series, and its value, of the API server's metrics by name. */
  async metric(name: string): Promise<readonly { readonly labels: string; readonly value: number }[]> {
    const { body } = await this.admin.send('GET', '/metrics')
    const text = String(body['text'] ?? '')
    return text.split('\n').flatMap((line) => {
      const match = /^([\w:]+)(?:\{(.*)\})? ([\d.e+-]+)$/i.exec(line)
      return match === null || match[1] !== name ? [] : [{ labels: match[2] ?? '', value: Number(match[3]) }]
    })
  }

  /** Lets it go on when this process has ended. */
  release(): void {
    this.admin.close()
    for (const { process: child } of this.#parts) child.unref()
  }

  async stop(): Promise<void> {
    this.admin.close()
    for (const running of [...this.#parts].reverse()) await stopPart(running.part, this.#labDirectory)
  }
}

function startEtcd(program: string, directory: string): Promise<RunningPart> {
  return startPart(
    {
      name: `${partName}-etcd`,
      ports: ['client', 'peer'],
      async prepare({ directory: own, ports }) {
        const client = `http://127.0.0.1:${ports['client']}`
        const peer = `http://127.0.0.1:${ports['peer']}`
        const argv = [
          program,
          ...['--data-dir', join(own, 'data'), '--unsafe-no-fsync'],
          ...['--listen-client-urls', client, '--advertise-client-urls', client],
          ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
          ...['--initial-cluster', `default=${peer}`],
        ] as [string, ...string[]]
        return { argv, env: process.env }
      },
    },
    directory,
  )
}

function startApiServer(
  program: string,
  etcdUrl: string,
  { gates = {}, withoutAdmission = [], apiServerFlags = [] }: ClusterOptions,
  directory: string,
): Promise<RunningPart> {
  return startPart(
    {
      name: `${partName}-apiserver`,
      ports: ['https'],
      async prepare({ directory: own, ports }) {
        const authority = await Authority.create(join(own, 'pki'))
        const server = await authority.server('kube-apiserver')
        const serviceAccounts = await authority.serviceAccountKeys()
        const argv = [
          program,
          ...[`--etcd-servers=${etcdUrl}`, '--etcd-prefix', `/lab-${randomBytes(4).toString('hex')}`],
          ...['--bind-address=127.0.0.1', `--secure-port=${ports['https']}`],
          // Not this machine's: nobody is to be sent here by the cluster.
          ...['--advertise-address=192.0.2.1', '--endpoint-reconciler-type=none'],
          ...['--service-cluster-ip-range=10.99.0.0/24', '--authorization-mode=RBAC', '--allow-privileged=true'],
          ...[`--client-ca-file=${authority.certificate}`],
          ...[`--tls-cert-file=${server.cert}`, `--tls-private-key-file=${server.key}`],
          '--service-account-issuer=https://kubernetes.default.svc',
          `--service-account-signing-key-file=${serviceAccounts.key}`,
          `--service-account-key-file=${serviceAccounts.publicKey}`,
          `--disable-admission-plugins=${['ServiceAccount', ...withoutAdmission].join(',')}`,
          ...gateFlags(gates),
          ...apiServerFlags,
        ] as [string, ...string[]]
        return { argv, env: process.env }
      },
    },
    directory,
  )
}

async function startControllers(
  program: string,
  cluster: Cluster,
  authority: Authority,
  { gates = {}, controllers, directory }: ClusterOptions & { readonly controllers: readonly string[] },
): Promise<RunningPart> {
  // With one identity for all controllers, the role that is built in for it is too small.
  const kubeconfig = await cluster.user({ name: 'controller-manager', groups: ['system:masters'] })
  const argv = [
    program,
    ...[`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--use-service-account-credentials=false'],
    // Neither its own port nor the plain one: nobody asks it anything.
    ...['--secure-port=0', '--port=0'],
    '--pvclaimbinder-sync-period=2s',
    `--service-account-private-key-file=${join(authority.directory, 'service-account.key')}`,
    `--root-ca-file=${authority.certificate}`,
    `--controllers=${controllers.join(',')}`,
    ...gateFlags(gates),
  ] as [string, ...string[]]
  return startPart(
    { name: `${partName}-controller-manager`, prepare: async () => ({ argv, env: process.env }) },
    directory,
  )
}

function gateFlags(gates: Readonly<Record<string, boolean>>): readonly string[] {
  const entries = Object.entries(gates).map(([name, on]) => `${name}=${on}`)
  return entries.length === 0 ? [] : [`--feature-gates=${entries.join(',')}`]
}

function statusOf(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    }).on('error', reject)
  })
}
