import { randomUUID } from 'node:crypto'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CephLab } from '../ceph/ceph.ts'
import { type CommandOptions, run } from '../ceph/command.ts'
import { logOf, type RunningPart, startPart, stopPart } from '../part.ts'
import { isLiving, labDirectory, type Part, Register } from '../register.ts'
import { endOfLogs, until } from '../waiting.ts'
import { type Backend, cinderConf, keystoneConf, rabbitEnvironment, type Services } from './configuration.ts'
import { type NovaOptions, NovaReceiver } from './nova.ts'
import { type Credentials, OpenStack, succeeded } from './openstack.ts'

export interface CinderOptions {
  /** A cluster of the lab, for the backend `ceph` beside `file`; its volumes are images in the pool `volumes`. */
  readonly ceph?: CephLab
  /** Whether it goes on when this process has ended. Left out: it ends with it, however that ends. */
  readonly lasting?: boolean
  /** Whose it is, for those that share it: see {@link CinderLab.find}. */
  readonly owner?: string
  readonly directory?: string
}

/** What can be told about running services in a file. */
interface Description {
  readonly owner?: string
  readonly adminPassword: string
  readonly backends: readonly Backend[]
}

const names = {
  mariadb: 'cinder-mariadb',
  epmd: 'cinder-epmd',
  rabbit: 'cinder-rabbit',
  keystone: 'cinder-keystone',
  api: 'cinder-api',
  scheduler: 'cinder-scheduler',
  volume: 'cinder-volume',
} as const

export type Service = keyof typeof names

/** What a service may take to come up on a busy machine. */
const seconds = 240
const descriptionFile = 'lab.json'
const homeFile = 'home'

/**
 * Keystone and Cinder (API, scheduler, volume) with MariaDB on a Unix socket and RabbitMQ, all on 127.0.0.1 and all real. Its backends are sparse files, whose
 * driver fails or waits when a test says so, and the lab's Ceph. Nova is absent until {@link nova} is called.
 */
export class CinderLab {
  readonly owner: string | undefined
  readonly backends: readonly Backend[]
  /** The administrator. */
  readonly admin: OpenStack
  readonly #parts: Readonly<Record<Service, Part>>
  readonly #directory: string

  private constructor(parts: Readonly<Record<Service, Part>>, description: Description, directory: string) {
    const { owner, adminPassword, backends } = description
    this.#parts = parts
    this.#directory = directory
    this.owner = owner
    this.backends = backends
    this.admin = new OpenStack(this.#credentials('admin', adminPassword), this.endpoint)
  }

  /**
   * Starts them, and waits until volumes can be made. Needs root, and the Debian packages keystone, cinder-api, cinder-scheduler, cinder-volume,
   * uwsgi-plugin-python3, rabbitmq-server and mariadb-server; with Ceph also python3-rbd and python3-rados.
   */
  static async start(options: CinderOptions = {}): Promise<CinderLab> {
    const { ceph, lasting = false, owner, directory = labDirectory() } = options
    const started: RunningPart[] = []
    const launch = async (service: Service, prepare: Prepare, ports: readonly string[] = []): Promise<Part> => {
      const running = await startPart(
        {
          ...{ name: names[service], ports },
          prepare: async (context) => {
            const { argv, env = {} } = await prepare(context)
            // The kernel ends it when the process that started it is gone, also where that was killed.
            const guard = lasting ? [] : ['setpriv', '--pdeathsig', 'KILL', '--']
            return {
              argv: [...guard, ...argv] as [string, ...string[]],
              env: { PATH: searched, HOME: context.directory, LANG: 'C.UTF-8', ...env },
            }
          },
        },
        directory,
      )
      running.process.unref()
      started.push(running)
      return running.part
    }
    const ready = (what: string, condition: () => Promise<boolean>): Promise<void> =>
      until(what, started, seconds, condition)
    try {
      const adminPassword = `pw-${randomUUID()}`
      const backends: readonly Backend[] = ceph === undefined ? ['file'] : ['file', 'ceph']
      const mariadb = await launch('mariadb', prepareMariadb)
      const home = mariadb.directory
      const [, , [epmd, rabbit]] = await Promise.all([
        migrateKeystone(home),
        ready('MariaDB', () => makeDatabase(home)).then(() => migrateCinder(home)),
        launchRabbit(launch, home, ready),
      ])
      const keystone = await launch('keystone', (context) => prepareKeystone(context, home), ['http'])
      const keystoneUrl = urlOf(keystone)
      await bootstrap(home, adminPassword, keystoneUrl)
      await ready('Keystone', async () => (await fetch(keystoneUrl)).ok)
      const { amqp = 0 } = rabbit.ports
      const command = (service: 'api' | 'scheduler' | 'volume'): Command => ({
        argv: [`/usr/bin/cinder-${service}`, '--config-file', confOf(home)],
        env: { PYTHONPATH: driverDirectory, PYTHONDONTWRITEBYTECODE: '1' },
      })
      const api = await launch(
        'api',
        async ({ directory: own, ports }) => {
          const services = {
            directory: home,
            keystone: keystoneUrl,
            amqp,
            mariadb: socketOf(home),
            adminPassword,
            backends,
          }
          await configureCinder({ ...services, api: ports['http'] ?? 0 }, ceph)
          return belongingTo(home, own, command('api'))
        },
        // Nova's is kept free for the receiver.
        ['http', 'nova'],
      )
      const scheduler = await launch('scheduler', async ({ directory: own }) =>
        belongingTo(home, own, command('scheduler')),
      )
      const volume = await launch('volume', async ({ directory: own }) => belongingTo(home, own, command('volume')))
      const description: Description = { ...(owner === undefined ? {} : { owner }), adminPassword, backends }
      const lab = new CinderLab({ mariadb, epmd, rabbit, keystone, api, scheduler, volume }, description, directory)
      await lab.#fill(ready)
      await writeFile(join(home, descriptionFile), JSON.stringify(description), { mode: 0o600 })
      return lab
    } catch (cause) {
      const logs = await endOfLogs(started.map(({ part }) => part))
      for (const { part } of started.reverse()) await end(part, directory)
      throw new Error(`Cinder did not come up. What it said at the end:\n${logs}`, { cause })
    }
  }

  /** Those that run completely; with an owner, those that were started for it. */
  static async find(owner?: string, directory: string = labDirectory()): Promise<readonly CinderLab[]> {
    const living = await new Register(directory).living()
    const labs: CinderLab[] = []
    for (const mariadb of living.filter(({ name }) => name === names.mariadb)) {
      const text = await readFile(join(mariadb.directory, descriptionFile), 'utf8').catch(() => undefined)
      if (text === undefined) continue
      const description: Description = JSON.parse(text)
      if (owner !== undefined && description.owner !== owner) continue
      const parts: Partial<Record<Service, Part>> = { mariadb }
      for (const part of living) {
        const service = (Object.keys(names) as Service[]).find((key) => names[key] === part.name)
        if (service === undefined || service === 'mariadb') continue
        const home = await readFile(join(part.directory, homeFile), 'utf8').catch(() => undefined)
        if (home === mariadb.directory) parts[service] = part
      }
      const { epmd, rabbit, keystone, api, scheduler, volume } = parts
      if (!epmd || !rabbit || !keystone || !api || !scheduler || !volume) continue
      labs.push(new CinderLab({ mariadb, epmd, rabbit, keystone, api, scheduler, volume }, description, directory))
    }
    return labs
  }

  /** The endpoint of Keystone. */
  get authUrl(): string {
    return urlOf(this.#parts.keystone)
  }

  /** The endpoint of Cinder, without a project. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#parts.api.ports['http']}/v3`
  }

  /** Where the volumes of the backend `file` are, each a file with the volume's id as its name. */
  get volumes(): string {
    return join(this.#parts.mariadb.directory, 'volumes')
  }

  /** A project of its own with a member, so that tests do not share quotas and lists. */
  async project(role = 'member'): Promise<OpenStack> {
    const name = `project-${randomUUID()}`
    const password = `pw-${randomUUID()}`
    const { admin } = this
    const made = async <Body>(path: string, body: object): Promise<Body> =>
      succeeded<Body>(await admin.keystone('POST', path, body))
    const { project } = await made<{ project: { id: string } }>('/projects', {
      project: { name, domain_id: 'default' },
    })
    const { user } = await made<{ user: { id: string } }>('/users', {
      user: { name, password, domain_id: 'default', default_project_id: project.id },
    })
    const { roles } = succeeded<{ roles: { id: string }[] }>(await admin.keystone('GET', `/roles?name=${role}`))
    succeeded(await admin.keystone('PUT', `/projects/${project.id}/users/${user.id}/roles/${roles[0]?.id}`))
    // What a test does not limit itself has no limit.
    const unlimited = { volumes: -1, gigabytes: -1, snapshots: -1 }
    succeeded(await admin.cinder('PUT', `/os-quota-sets/${project.id}`, { quota_set: unlimited }))
    return new OpenStack(this.#credentials(name, password), this.endpoint)
  }

  /** Starts what stands for Nova; it ends with this process. */
  nova(options: NovaOptions = {}): Promise<NovaReceiver> {
    return NovaReceiver.start(this.#novaPort, options)
  }

  /** Runs statements in Cinder's database, as its administrator would. */
  sql(statements: string): Promise<string> {
    return mariadb(this.#parts.mariadb.directory, ['cinder'], statements)
  }

  /** Replaces the policy of Cinder, which looks at it for every request. An empty one is that of the package. */
  policy(rules: Readonly<Record<string, string>>): Promise<void> {
    return writePolicy(this.#parts.mariadb.directory, rules)
  }

  /** Sets what the driver of the backend `file` does with the next growth of a volume, or with all of them. */
  async control(name: 'fail' | 'delay', value: string, volume?: string): Promise<string> {
    const path = join(this.volumes, 'control', volume === undefined ? name : `${name}-${volume}`)
    await writeFile(path, value)
    return path
  }

  part(service: Service): Part {
    return this.#parts[service]
  }

  /** Stops a service as a hung machine does: it keeps its connections, and answers nothing. */
  freeze(service: Service): void {
    process.kill(-this.#parts[service].pid, 'SIGSTOP')
  }

  /** Lets a frozen service go on. Idempotent. */
  thaw(service: Service): void {
    process.kill(-this.#parts[service].pid, 'SIGCONT')
  }

  /** Ends all of it, and removes everything that it wrote. Idempotent. */
  async stop(): Promise<void> {
    const { mariadb: home, ...others } = this.#parts
    for (const part of [...Object.values(others), home]) await end(part, this.#directory)
  }

  get #novaPort(): number {
    return this.#parts.api.ports['nova'] ?? 0
  }

  #credentials(name: string, password: string): Credentials {
    const user = { username: name, password, userDomainName: 'Default' } as const
    return { authUrl: this.authUrl, ...user, projectName: name, projectDomainName: 'Default' }
  }

  /** The catalog, and a volume type for each backend. */
  async #fill(ready: (what: string, condition: () => Promise<boolean>) => Promise<void>): Promise<void> {
    const { admin } = this
    const services = [
      ['volumev3', 'cinderv3', `${this.endpoint}/%(project_id)s`],
      ['compute', 'nova', `http://127.0.0.1:${this.#novaPort}/v2.1`],
    ] as const
    for (const [type, name, url] of services) {
      const { service } = succeeded<{ service: { id: string } }>(
        await admin.keystone('POST', '/services', { service: { type, name } }),
      )
      for (const kind of ['public', 'internal', 'admin']) {
        const endpoint = { service_id: service.id, interface: kind, region_id: 'RegionOne', url }
        succeeded(await admin.keystone('POST', '/endpoints', { endpoint }))
      }
    }
    // The list of versions, which is there without a token (300 Multiple Choices).
    await ready('cinder-api', async () => (await fetch(new URL('/', this.endpoint))).status === 300)
    for (const backend of this.backends) {
      const volumeType = { name: backend, extra_specs: { volume_backend_name: backend } }
      succeeded(await admin.cinder('POST', '/types', { volume_type: volumeType }))
    }
    const shared = { name: 'shared', extra_specs: { volume_backend_name: 'file', multiattach: '<is> True' } }
    succeeded(await admin.cinder('POST', '/types', { volume_type: shared }))
    await ready('the services of Cinder', async () => {
      const { services: seen } = succeeded<{ services: { state: string }[] }>(await admin.cinder('GET', '/os-services'))
      return seen.filter(({ state }) => state === 'up').length >= 1 + this.backends.length
    })
  }
}

/** Starts services that end with this process: {@link CinderLab.start}. */
export function startCinder(options: CinderOptions = {}): Promise<CinderLab> {
  return CinderLab.start(options)
}

interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
}
type Ports = Readonly<Record<string, number>>
type Prepare = (context: { readonly directory: string; readonly ports: Ports }) => Promise<Command>
type Launch = (service: Service, prepare: Prepare, ports?: readonly string[]) => Promise<Part>

// Daemons are in directories that an ordinary PATH may lack.
const searched = [process.env['PATH'], '/usr/local/sbin', '/usr/sbin', '/sbin'].join(':')
const driverDirectory = fileURLToPath(new URL('./driver', import.meta.url))

function confOf(home: string): string {
  return join(home, 'cinder.conf')
}

function keystoneConfOf(home: string): string {
  return join(home, 'keystone.conf')
}

function socketOf(home: string): string {
  return join(home, 'socket')
}

function urlOf(keystone: Part): string {
  return `http://127.0.0.1:${keystone.ports['http']}/v3`
}

async function belongingTo(home: string, own: string, command: Command): Promise<Command> {
  await writeFile(join(own, homeFile), home)
  return command
}

async function prepareMariadb({ directory }: { readonly directory: string }): Promise<Command> {
  const data = join(directory, 'mysql')
  const as = ['--no-defaults', '--user=root', `--datadir=${data}`] as const
  await run(['mariadb-install-db', ...as, '--auth-root-authentication-method=normal', '--skip-test-db'], {
    ...{ seconds, env: { PATH: searched } },
  })
  const socket = [`--socket=${socketOf(directory)}`, `--pid-file=${join(directory, 'pid')}`, '--skip-networking']
  // It holds nothing that has to outlive it.
  const careless = ['--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0', '--sync-binlog=0']
  const small = ['--innodb-buffer-pool-size=64M', '--performance-schema=off']
  return { argv: ['mariadbd', ...as, ...socket, ...careless, ...small] }
}

function mariadb(home: string, args: readonly string[], statements: string): Promise<string> {
  const client = ['mariadb', '--no-defaults', '-uroot', '-S', socketOf(home), '-N', '-B'] as const
  return run([...client, ...args, '-e', statements], { seconds })
}

async function makeDatabase(home: string): Promise<boolean> {
  await mariadb(home, [], 'create database if not exists cinder character set utf8')
  return true
}

async function migrateCinder(home: string): Promise<void> {
  const conf = join(home, 'migration.conf')
  const connection = `mysql+pymysql://root@localhost/cinder?unix_socket=${socketOf(home)}&charset=utf8`
  await writeFile(conf, `[database]\nconnection = ${connection}\n`)
  await manage(['cinder-manage', '--config-file', conf, 'db', 'sync'])
}

async function migrateKeystone(home: string): Promise<void> {
  await mkdir(join(home, 'fernet'), { mode: 0o700 })
  await mkdir(join(home, 'credential'), { mode: 0o700 })
  await writeFile(keystoneConfOf(home), keystoneConf({ directory: home }))
  const keystone = (...args: readonly string[]): Promise<string> =>
    manage(['keystone-manage', '--config-file', keystoneConfOf(home), ...args])
  const root = ['--keystone-user', 'root', '--keystone-group', 'root']
  await Promise.all([keystone('db_sync'), keystone('fernet_setup', ...root), keystone('credential_setup', ...root)])
  // A reader and a writer at once are then no "database is locked".
  await run(['/usr/bin/python3', '-c', walProgram, join(home, 'keystone.sqlite')])
}

const walProgram = 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA journal_mode=WAL")'

function manage(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<string> {
  return run(argv, { seconds, ...options, env: { PATH: searched, ...options.env } })
}

async function bootstrap(home: string, password: string, url: string): Promise<void> {
  const urls = ['public', 'internal', 'admin'].flatMap((kind) => [`--bootstrap-${kind}-url`, url])
  const env = { OS_BOOTSTRAP_PASSWORD: password }
  const command = ['keystone-manage', '--config-file', keystoneConfOf(home), 'bootstrap'] as const
  await manage([...command, '--bootstrap-region-id', 'RegionOne', ...urls], { env })
}

async function prepareKeystone(
  { directory, ports }: { readonly directory: string; readonly ports: Ports },
  home: string,
): Promise<Command> {
  const serve = ['--http-socket', `127.0.0.1:${ports['http']}`, '--wsgi-file', '/usr/bin/keystone-wsgi-public']
  // It closes each connection after one answer; a client that is not told sends its next request into one that is just being closed.
  const told = ['--add-header', 'Connection: close']
  const workers = ['--master', '--processes', '1', '--threads', '2', '--enable-threads', '--lazy-apps']
  const endings = ['--die-on-term', '--no-orphans', '--buffer-size', '65535']
  return belongingTo(home, directory, {
    argv: ['uwsgi_python3', ...serve, ...told, ...workers, ...endings],
    env: { OS_KEYSTONE_CONFIG_FILES: keystoneConfOf(home) },
  })
}

async function launchRabbit(
  launch: Launch,
  home: string,
  ready: (what: string, condition: () => Promise<boolean>) => Promise<void>,
): Promise<readonly [Part, Part]> {
  const epmd = await launch(
    'epmd',
    async ({ directory, ports }) =>
      belongingTo(home, directory, { argv: ['epmd', '-address', '127.0.0.1', '-port', `${ports['epmd']}`] }),
    ['epmd'],
  )
  const rabbit = await launch(
    'rabbit',
    async ({ directory, ports }) => {
      const env = rabbitEnvironment(directory, { ...ports, ...epmd.ports })
      await writeFile(join(directory, 'plugins'), '[].\n')
      await writeFile(join(directory, 'environment'), `NODENAME=${env['RABBITMQ_NODENAME']}\n`)
      return belongingTo(home, directory, { argv: ['/usr/lib/rabbitmq/bin/rabbitmq-server'], env })
    },
    ['amqp', 'distribution'],
  )
  await ready('RabbitMQ', async () => {
    const log = await readFile(logOf(rabbit.directory), 'utf8')
    return log.includes('completed with')
  })
  return [epmd, rabbit]
}

async function configureCinder(services: Services, ceph: CephLab | undefined): Promise<void> {
  const { directory } = services
  await mkdir(join(directory, 'volumes', 'control'), { recursive: true })
  await writePolicy(directory, {})
  if (ceph !== undefined) {
    await cp(ceph.conf, join(directory, 'ceph.conf'))
    const own = `\n[client.cinder]\nkeyring = ${ceph.keyring('cinder')}\n`
    await writeFile(join(directory, 'ceph.conf'), own, { flag: 'a' })
  }
  await writeFile(confOf(directory), cinderConf(services), { mode: 0o600 })
}

function writePolicy(home: string, rules: Readonly<Record<string, string>>): Promise<void> {
  return writeFile(join(home, 'policy.yaml'), JSON.stringify(rules))
}

async function end(part: Part, directory: string): Promise<void> {
  // What is frozen would not hear that it has to end; and nobody needs what it would still write.
  if (await isLiving(part)) process.kill(-part.pid, 'SIGKILL')
  await stopPart(part, directory)
}
