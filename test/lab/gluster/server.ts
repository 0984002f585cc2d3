import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, join } from 'node:path'
import { logOf, type RunningPart, startPart, stopPart } from '../part.ts'
import { until } from '../waiting.ts'

/** The part's name in the lab's register. */
export const partName = 'gluster'

/** Where glusterd listens on its address; the pool has to agree on it. */
const port = 24007
/** Each server's bricks take their ports from a range of their own. */
const portsPerServer = 500

/** One glusterd with an address of its own; everything that it writes is below {@link ServerPlace.root}. */
export interface ServerPlace {
  readonly address: string
  readonly root: string
  /** From 0: chooses the range of ports. */
  readonly index: number
}

export function socketOf({ root }: ServerPlace): string {
  return join(root, 'run', 'glusterd.sock')
}

/**
 * Starts glusterd in a process namespace of its own, so that its bricks, which are no children of it, end with it. Needs root, and the Debian package glusterfs-server.
 *
 * @param pool the directory of the pool, which has to be a shared mount: bricks that are mounted later have to be seen by the server
 */
export async function startServer(place: ServerPlace, pool: string): Promise<RunningPart> {
  const { address, root, index } = place
  // As after a boot: a number in a file of the server's last life would be taken for a living brick.
  await rm(join(root, 'run'), { recursive: true, force: true })
  for (const name of ['state', 'run', 'log/bricks']) await mkdir(join(root, name), { recursive: true })
  // Bricks make their sockets there, whatever the configuration says.
  await mkdir('/var/run/gluster', { recursive: true })
  const volfile = join(root, 'glusterd.vol')
  await writeFile(volfile, configuration(place, 49_152 + index * portsPerServer))
  const own = join(root, 'modules')
  if (!existsSync(own)) await cp(modules, own, { recursive: true, filter: (name) => basename(name) !== 'gsyncd' })
  const script = 'mount --bind "$1" "$2" || exit; shift 2; exec "$@"'
  const server = ['glusterd', '-N', '-f', volfile, '-l', join(root, 'log', 'glusterd.log'), '-L', 'INFO'] as const
  const running = await startPart({
    name: partName,
    async prepare({ directory }) {
      await writeFile(join(directory, rootFile), pool)
      return {
        argv: [
          ...['unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child', '--mount-proc'],
          ...['sh', '-c', script, 'sh', own, modules, ...server, '-p', join(root, 'run', 'glusterd.pid')],
        ] as [string, ...string[]],
        env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
      }
    },
  })
  try {
    await answering(place, running)
    return running
  } catch (cause) {
    const logs = [logOf(running.part.directory), join(root, 'log', 'glusterd.log')]
    const said = await Promise.all(logs.map((log) => readFile(log, 'utf8').catch(() => '')))
    await stopPart(running.part)
    throw new Error(`glusterd on ${address} did not start:\n${said.join('\n').slice(-4000)}`, { cause })
  }
}

/**
 * Where Debian has its modules. Each server sees a copy without gsyncd: at its first start glusterd asks that program some twenty times how geo-replication is set
 * up, which takes many seconds and is not needed.
 */
const modules = '/usr/lib/x86_64-linux-gnu/glusterfs'

/** In a part's directory: where the pool that it belongs to is. */
export const rootFile = 'pool'

function configuration({ address, root }: ServerPlace, firstPort: number): string {
  const options = {
    'working-directory': join(root, 'state'),
    'run-directory': join(root, 'run'),
    'glusterd-sockfile': join(root, 'run', 'glusterd.sock'),
    // Puts the logs of all its processes there.
    'cluster-test-mode': join(root, 'log'),
    'transport-type': 'socket',
    'transport.socket.bind-address': address,
    'transport.socket.listen-port': port,
    'transport.socket.keepalive-time': 10,
    'transport.socket.keepalive-interval': 2,
    'transport.socket.read-fail-log': 'off',
    'ping-timeout': 0,
    'event-threads': 1,
    'base-port': firstPort,
    'max-port': firstPort + portsPerServer - 1,
  }
  const lines = Object.entries(options).map(([name, value]) => `    option ${name} ${value}`)
  return ['volume management', '    type mgmt/glusterd', ...lines, 'end-volume', ''].join('\n')
}

function answering(place: ServerPlace, running: RunningPart): Promise<void> {
  return until(
    'glusterd to listen',
    [running],
    120,
    async () => existsSync(socketOf(place)) && (await isListening(place.address)),
  )
}

/** Whether somebody listens on glusterd's port of an address. */
export function isListening(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
