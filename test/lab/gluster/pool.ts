import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isWithin, parseMountinfo } from '../../../src/hosts/mountinfo.ts'
import { type RunningPart, stopPart } from '../part.ts'
import type { Part } from '../register.ts'
import { isListening, rootFile, type ServerPlace, socketOf, startServer } from './server.ts'

/** A brick on a filesystem of its own: XFS on a loop device over a file. */
export interface LoopBrick {
  /** `address:/path`. */
  readonly name: string
  readonly path: string
  readonly mountPoint: string
  readonly device: string
  readonly image: string
}

const execute = promisify(execFile)
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, LC_ALL: 'C' }

async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { env })
  return stdout.trim()
}

/** A trusted pool of real servers on loopback addresses of one machine, with bricks, volumes and FUSE clients. Everything of it is below one directory. */
export class Pool {
  readonly root: string
  readonly servers: readonly ServerPlace[]
  readonly #running = new Map<number, RunningPart>()

  private constructor(root: string, servers: readonly ServerPlace[]) {
    this.root = root
    this.servers = servers
  }

  /** Needs root, and the Debian packages glusterfs-server, glusterfs-client and xfsprogs. */
  static async start(count: number): Promise<Pool> {
    const root = await mkdtemp(join(tmpdir(), 'gluster-'))
    const network = await freeNetwork()
    const servers = Array.from({ length: count }, (_, index): ServerPlace => {
      const name = `server-${index + 1}`
      return { address: `${network}.${index + 1}`, root: join(root, name), index }
    })
    const pool = new Pool(root, servers)
    try {
      // Bricks that are mounted later are seen in the namespaces of the servers.
      await run('mount', '--bind', root, root)
      await run('mount', '--make-shared', root)
      for (const { index } of servers) await pool.serverUp(index)
      for (const { address } of servers.slice(1)) await pool.gluster('peer', 'probe', address)
      await pool.#connected(count - 1)
      return pool
    } catch (error) {
      await pool.stop()
      throw error
    }
  }

  #server(index: number): ServerPlace {
    const server = this.servers[index]
    if (server === undefined) throw new Error(`There is no server ${index}.`)
    return server
  }

  async serverUp(index: number): Promise<void> {
    this.#running.set(index, await startServer(this.#server(index), this.root))
    await eventually(`server ${index} to answer`, () => this.#ask(index, 'pool', 'list'))
  }

  /** Ends a server with all its bricks. */
  async serverDown(index: number): Promise<void> {
    const running = this.#running.get(index)
    this.#running.delete(index)
    if (running !== undefined) await stopPart(running.part)
  }

  socket(index = 0): string {
    return socketOf(this.#server(index))
  }

  logFile(): string {
    return join(this.root, 'cli.log')
  }

  /** What `gluster` says on a server; fails when it refuses. */
  gluster(...args: readonly string[]): Promise<string> {
    return this.#ask(0, ...args)
  }

  #ask(index: number, ...args: readonly string[]): Promise<string> {
    const own = [`--glusterd-sock=${this.socket(index)}`, `--log-file=${this.logFile()}`]
    return run('gluster', '--mode=script', ...own, ...args)
  }

  async #connected(peers: number): Promise<void> {
    await eventually('the servers to know each other', async () => {
      const status = await this.gluster('peer', 'status')
      return status.split('Peer in Cluster (Connected)').length - 1 === peers
    })
  }

  /** Waits until every server of the pool sees every other one, and all bricks are online. */
  async settled(volume: string): Promise<void> {
    await this.#connected(this.servers.length - 1)
    await eventually(`all bricks of ${volume} to be online`, async () => {
      const status = await this.gluster('volume', 'status', volume, 'detail')
      const states = [...status.matchAll(/^Online\s*:\s*(\w)/gm)].map(([, state]) => state)
      const info = await this.gluster('volume', 'info', volume)
      return states.length === [...info.matchAll(/^Brick\d+:/gm)].length && states.every((state) => state === 'Y')
    })
  }

  /** A brick on a filesystem of its own, of so many MiB. */
  async brick(server: number, name: string, size: number): Promise<LoopBrick> {
    const { address, root } = this.#server(server)
    const [image, mountPoint] = [join(root, `${name}.img`), join(root, name)]
    const file = openSync(image, 'wx')
    ftruncateSync(file, size * 2 ** 20)
    closeSync(file)
    await run('mkfs.xfs', '-q', '-i', 'size=512', image)
    mkdirSync(mountPoint)
    // Loop devices are shared with everybody on this machine: one that is free may be taken before it is asked for.
    const device = await eventually('a free loop device', () =>
      run('losetup', '--find', '--show', image).catch(() => undefined),
    )
    await run('mount', device, mountPoint)
    const path = join(mountPoint, 'brick')
    mkdirSync(path)
    return { name: `${address}:${path}`, path, mountPoint, device, image }
  }

  /** Creates and starts a volume. */
  async volume(name: string, type: readonly string[], bricks: readonly LoopBrick[]): Promise<void> {
    await this.gluster('volume', 'create', name, ...type, ...bricks.map((brick) => brick.name))
    await this.gluster('volume', 'start', name)
    await this.settled(name)
  }

  /** Mounts a volume, and says where. */
  async mount(volume: string, server = 0): Promise<string> {
    const point = join(this.root, `mounted-${volume}`)
    mkdirSync(point, { recursive: true })
    const log = `log-file=${join(this.root, `mounted-${volume}.log`)}`
    await run('mount', '-t', 'glusterfs', '-o', log, `${this.#server(server).address}:/${volume}`, point)
    return point
  }

  /** Lets this process end before the servers, which then go on. */
  release(): void {
    for (const { process } of this.#running.values()) process.unref()
  }

  /** Ends every process of the pool, unmounts, detaches and removes everything. */
  async stop(): Promise<void> {
    await unmountBelow(this.root, 'fuse.glusterfs')
    for (const index of [...this.#running.keys()]) await this.serverDown(index)
    await removePool(this.root)
  }
}

/** The directory of the pool that a part of the register belongs to; undefined when the part did not come so far. */
export async function poolOf({ directory }: Part): Promise<string | undefined> {
  return readFile(join(directory, rootFile), 'utf8').catch(() => undefined)
}

/** Removes what a pool whose servers have ended left on this machine. Idempotent. */
export async function removePool(root: string): Promise<void> {
  for (const pid of await processesOf(root)) process.kill(pid, 'SIGKILL')
  await eventually('the last processes to end', async () => (await processesOf(root)).length === 0)
  await unmountBelow(root)
  await rm(root, { recursive: true, force: true })
}

async function unmountBelow(root: string, type?: string): Promise<void> {
  await eventually(`everything below ${root} to be unmounted`, async () => {
    const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8')).filter(
      (mount) => isWithin(mount.mountPoint, root) && (type === undefined || mount.type === type),
    )
    const last = mounts.at(-1)
    if (last === undefined) return true
    const source = last.source
    await run('umount', last.mountPoint).catch(() => undefined)
    if (source.startsWith('/dev/loop')) await run('losetup', '--detach', source).catch(() => undefined)
    return false
  })
}

/** Clients and helpers that were started for the pool are recognised by its directory, which is unique. */
async function processesOf(root: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return /^[^\0]*gluster/.test(command) && command.includes(`${root}/`) ? [Number(pid)] : []
    }),
  )
  return found.flat()
}

async function freeNetwork(): Promise<string> {
  for (;;) {
    const network = `127.${randomInt(64, 250)}.${randomInt(1, 250)}`
    if (!(await isListening(`${network}.1`))) return network
  }
}

/** Asks until the answer is neither undefined nor false; a busy machine is given time. */
async function eventually<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined | false>,
  seconds = 120,
): Promise<Answer> {
  let failure: unknown
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(50)) {
    const answer = await ask().catch((error: unknown) => {
      failure = error
      return undefined
    })
    if (answer !== undefined && answer !== false) return answer
  }
  throw new Error(`Waited ${seconds} s for ${what}.`, { cause: failure })
}
