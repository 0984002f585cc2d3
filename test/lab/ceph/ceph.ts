import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type PartContext, type RunningPart, startPart, stopPart } from '../part.ts'
import { isLiving, labDirectory, type Part, Register } from '../register.ts'
import { endOfLogs, until } from '../waiting.ts'
import { type CommandOptions, run } from './command.ts'
import { configuration, daemons, keyringOf, type User, users } from './configuration.ts'

export interface CephOptions {
  /** Whether it goes on when this process has ended. Left out: it ends with it, however that ends. */
  readonly lasting?: boolean
  /** Whose it is, for those that share it: see {@link CephLab.find}. */
  readonly owner?: string
  readonly directory?: string
}

/** What can be told about a running cluster in a file. */
interface Description {
  readonly owner?: string
  readonly fsid: string
  readonly dashboard: Dashboard
}

/** The REST API of the manager. */
export interface Dashboard {
  readonly url: string
  readonly username: string
  readonly password: string
}

export type Daemon = 'mon' | 'mgr' | 'osd'

/** What a daemon may take to come up on a busy machine. */
const seconds = 180
const pool = 'volumes'

/**
 * A cluster of Ceph with one monitor, one manager with its dashboard and one OSD on a file, all on 127.0.0.1: real in everything but its redundancy. It
 * has the pool `volumes`, and the users that {@link users} lists.
 */
export class CephLab {
  readonly fsid: string
  readonly dashboard: Dashboard
  readonly owner: string | undefined
  readonly #parts: Readonly<Record<Daemon, Part>>
  readonly #directory: string

  private constructor(
    parts: Readonly<Record<Daemon, Part>>,
    { fsid, dashboard, owner }: Description,
    directory: string,
  ) {
    this.#parts = parts
    this.#directory = directory
    this.fsid = fsid
    this.dashboard = dashboard
    this.owner = owner
  }

  /** Starts one, and waits until images can be made. Needs root, and the Debian packages ceph-mon, ceph-mgr, ceph-mgr-dashboard, ceph-osd and ceph-common. */
  static async start({ lasting = false, owner, directory = labDirectory() }: CephOptions = {}): Promise<CephLab> {
    const started: RunningPart[] = []
    const launch = async (name: Daemon, prepare: Prepare, ports: readonly string[] = []): Promise<Part> => {
      const running = await startPart(
        {
          ...{ name: daemons[name], ports },
          prepare: async (context) => ({
            // The kernel ends it when the process that started it is gone, also where that was killed.
            argv: [
              ...(lasting ? ([] as const) : ['setpriv', '--pdeathsig', 'KILL', '--']),
              ...(await prepare(context)),
            ] as [string, ...string[]],
            env: { PATH: process.env['PATH'], HOME: context.directory, LANG: 'C.UTF-8' },
          }),
        },
        directory,
      )
      running.process.unref()
      started.push(running)
      return running.part
    }
    try {
      const fsid = randomUUID()
      const mon = await launch('mon', (context) => prepareMonitor(context, fsid), ['v1', 'v2', 'dashboard'])
      const dashboard: Dashboard = {
        url: `http://127.0.0.1:${mon.ports['dashboard']}`,
        username: 'admin',
        password: `pw-${randomUUID()}`,
      }
      const ceph = (...args: readonly string[]): Promise<string> => run(['ceph', '-c', confOf(mon), ...args])
      await until(
        'a quorum',
        started,
        seconds,
        async () => (await ceph('--connect-timeout', '5', 'quorum_status')) !== '',
      )
      await setDashboard(ceph, mon)
      const mgr = await launch('mgr', (context) => prepareManager(context, mon, ceph))
      const osd = await launch('osd', (context) => prepareOsd(context, mon, ceph))
      await until('the OSD', started, seconds, async () =>
        /"num_up_osds":\s*1\b/.test(await ceph('osd', 'stat', '-f', 'json')),
      )
      await ceph('osd', 'pool', 'create', pool, '8', '8')
      await ceph('osd', 'pool', 'application', 'enable', pool, 'rbd')
      await run(['rbd', '-c', confOf(mon), 'pool', 'init', pool], { seconds })
      for (const user of users) await makeUser(user, mon, ceph)
      await openDashboard(dashboard, mon, ceph, started)
      const description: Description = { ...(owner === undefined ? {} : { owner }), fsid, dashboard }
      await writeFile(join(mon.directory, descriptionFile), JSON.stringify(description), { mode: 0o600 })
      return new CephLab({ mon, mgr, osd }, description, directory)
    } catch (cause) {
      const logs = await endOfLogs(started.map(({ part }) => part))
      for (const { part } of started.reverse()) await stopPart(part, directory)
      throw new Error(`Ceph did not come up. What it said at the end:\n${logs}`, { cause })
    }
  }

  /** Those that run completely; with an owner, those that were started for it. */
  static async find(owner?: string, directory: string = labDirectory()): Promise<readonly CephLab[]> {
    const living = await new Register(directory).living()
    const labs: CephLab[] = []
    for (const mon of living.filter(({ name }) => name === daemons.mon)) {
      const text = await readFile(join(mon.directory, descriptionFile), 'utf8').catch(() => undefined)
      if (text === undefined) continue
      const description: Description = JSON.parse(text)
      if (owner !== undefined && description.owner !== owner) continue
      const [mgr, osd] = await Promise.all(
        [daemons.mgr, daemons.osd].map((name) => belonging(living, name, mon.directory)),
      )
      if (mgr !== undefined && osd !== undefined) labs.push(new CephLab({ mon, mgr, osd }, description, directory))
    }
    return labs
  }

  /** The configuration file: with it every program of Ceph finds the monitor, and the keyring of the user that it is given. */
  get conf(): string {
    return confOf(this.#parts.mon)
  }

  /** Port of the monitor, by version of the protocol. The kernel's clients mostly speak v1. */
  get monitor(): { readonly v1: number; readonly v2: number } {
    const { v1 = 0, v2 = 0 } = this.#parts.mon.ports
    return { v1, v2 }
  }

  /** Path of a user's keyring. */
  keyring(user: User | 'admin'): string {
    return keyringOf(this.#parts.mon.directory, user)
  }

  /** The key in a user's keyring. */
  async key(user: User | 'admin'): Promise<string> {
    return (await run(['ceph-authtool', this.keyring(user), '-n', `client.${user}`, '--print-key'])).trim()
  }

  part(daemon: Daemon): Part {
    return this.#parts[daemon]
  }

  /** Runs `ceph` as client.admin and returns what it wrote. */
  ceph(...args: readonly string[]): Promise<string> {
    return run(['ceph', '-c', this.conf, ...args])
  }

  /** Runs `rbd` as client.admin and returns what it wrote. */
  rbd(...args: readonly string[]): Promise<string> {
    return run(['rbd', '-c', this.conf, ...args])
  }

  /** Runs any program with the configuration in its environment, for those that take it from there. */
  run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<string> {
    return run(argv, { ...options, env: { CEPH_CONF: this.conf, ...options.env } })
  }

  /** Stops a daemon as a hung machine does: it keeps its connections, and answers nothing. */
  freeze(daemon: Daemon): void {
    process.kill(this.#parts[daemon].pid, 'SIGSTOP')
  }

  /** Lets a frozen daemon go on. Idempotent. */
  thaw(daemon: Daemon): void {
    process.kill(this.#parts[daemon].pid, 'SIGCONT')
  }

  /** Ends it, and removes everything that it wrote. Idempotent. */
  async stop(): Promise<void> {
    const { mon, mgr, osd } = this.#parts
    for (const part of [mgr, osd, mon]) {
      // What is frozen would not hear that it has to end; and nobody needs what it would still write.
      if (await isLiving(part)) process.kill(part.pid, 'SIGKILL')
      await stopPart(part, this.#directory)
    }
  }
}

const descriptionFile = 'lab.json'
const clusterFile = 'cluster'

type Prepare = (context: PartContext) => Promise<readonly [string, ...string[]]>
type Ceph = (...args: readonly string[]) => Promise<string>

function confOf(mon: Part): string {
  return join(mon.directory, 'ceph.conf')
}

async function prepareMonitor(
  { directory, ports }: PartContext,
  fsid: string,
): Promise<readonly [string, ...string[]]> {
  const { v1 = 0, v2 = 0 } = ports
  const addresses = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`
  const conf = join(directory, 'ceph.conf')
  const data = join(directory, 'data')
  const [admin, own, map] = [keyringOf(directory, 'admin'), join(directory, 'mon.keyring'), join(directory, 'monmap')]
  await mkdir(data)
  await writeFile(conf, configuration({ directory, fsid, addresses }))
  const everything = ['mon', 'osd', 'mgr', 'mds'].flatMap((daemon) => ['--cap', daemon, 'allow *'])
  await run(['ceph-authtool', '--create-keyring', admin, '--gen-key', '-n', 'client.admin', ...everything])
  await run(['ceph-authtool', '--create-keyring', own, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *'])
  await run(['ceph-authtool', own, '--import-keyring', admin])
  await run(['monmaptool', '--create', '--fsid', fsid, '--addv', 'a', addresses, map])
  const as = ['-c', conf, '-i', 'a', '--mon-data', data, '--keyring', own]
  await run(['ceph-mon', '--mkfs', ...as, '--monmap', map], { seconds })
  return ['ceph-mon', '-f', ...as]
}

async function prepareManager(
  { directory }: PartContext,
  mon: Part,
  ceph: Ceph,
): Promise<readonly [string, ...string[]]> {
  const keyring = join(directory, 'keyring')
  await writeFile(join(directory, clusterFile), mon.directory)
  await ceph('auth', 'get-or-create', 'mgr.x', 'mon', 'allow profile mgr', 'osd', 'allow *', '-o', keyring)
  return ['ceph-mgr', '-f', '-c', confOf(mon), '-i', 'x', '--mgr-data', directory, '--keyring', keyring]
}

async function prepareOsd({ directory }: PartContext, mon: Part, ceph: Ceph): Promise<readonly [string, ...string[]]> {
  const [keyring, secret, uuid] = [join(directory, 'keyring'), join(directory, 'secret'), randomUUID()]
  const key = (await run(['ceph-authtool', '--gen-print-key'])).trim()
  await writeFile(join(directory, clusterFile), mon.directory)
  await writeFile(secret, JSON.stringify({ cephx_secret: key }), { mode: 0o600 })
  const id = (await ceph('osd', 'new', uuid, '-i', secret)).trim()
  await writeFile(keyring, `[osd.${id}]\n\tkey = ${key}\n`, { mode: 0o600 })
  const as = ['-c', confOf(mon), '-i', id, '--osd-data', directory, '--keyring', keyring]
  await run(['ceph-osd', '--mkfs', '--osd-uuid', uuid, ...as], { seconds })
  return ['ceph-osd', '-f', ...as]
}

async function setDashboard(ceph: Ceph, mon: Part): Promise<void> {
  const set = (name: string, value: string): Promise<string> =>
    ceph('config', 'set', '--force', 'mgr', `mgr/dashboard/${name}`, value)
  await set('ssl', 'false')
  await set('server_addr', '127.0.0.1')
  await set('server_port', `${mon.ports['dashboard']}`)
}

async function openDashboard(
  { url, username, password }: Dashboard,
  mon: Part,
  ceph: Ceph,
  started: readonly RunningPart[],
): Promise<void> {
  const file = join(mon.directory, 'dashboard-password')
  await writeFile(file, password, { mode: 0o600 })
  await until('the dashboard', started, seconds, async () =>
    (await ceph('mgr', 'services')).includes(new URL(url).host),
  )
  // The module takes commands only when the manager has said so to the monitor.
  await until('the dashboard to take a user', started, seconds, async () => {
    await ceph('dashboard', 'ac-user-create', username, '-i', file, 'administrator', '--force-password')
    return true
  })
  await until('the dashboard to let the user in', started, seconds, async () => {
    const answer = await fetch(`${url}/api/auth`, {
      method: 'POST',
      headers: { accept: 'application/vnd.ceph.api.v1.0+json', 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
      signal: AbortSignal.timeout(10_000),
    })
    return answer.status === 201
  })
}

async function makeUser(user: User, mon: Part, ceph: Ceph): Promise<void> {
  const { name, caps } = user === 'cinder' ? { name: user, caps: cinderCaps } : { name: user, caps: readerCaps }
  await ceph('auth', 'get-or-create', `client.${name}`, ...caps, '-o', keyringOf(mon.directory, name))
}

// As the OpenStack pages of Ceph's documentation have it (rbd/rbd-openstack).
const cinderCaps = ['mon', 'profile rbd', 'osd', `profile rbd pool=${pool}`, 'mgr', `profile rbd pool=${pool}`]
const readerCaps = ['mon', 'profile rbd-read-only', 'osd', `profile rbd-read-only pool=${pool}`]

async function belonging(living: readonly Part[], name: string, cluster: string): Promise<Part | undefined> {
  for (const part of living.filter((candidate) => candidate.name === name)) {
    const text = await readFile(join(part.directory, clusterFile), 'utf8').catch(() => undefined)
    if (text === cluster) return part
  }
  return undefined
}
