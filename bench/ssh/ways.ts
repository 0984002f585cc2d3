import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sshHost } from '../../src/hosts/ssh/index.ts'
import { expand, type Host } from '../../src/index.ts'
import type { WayName } from './cases.ts'

/** The server as its clients reach it. */
export interface Access {
  readonly port: number
  /** File of the client's private key. */
  readonly identity: string
  /** File of known hosts, for this port. */
  readonly knownHosts: string
  /** For the sockets of shared connections. */
  readonly directory: string
}

export interface Mounted {
  readonly mountPoint: string
  readonly device: string
}

/** A way to grow a mounted XFS to the end of its device on another machine. */
export interface Way {
  readonly name: WayName
  grow(volume: Mounted): Promise<unknown>
  close(): Promise<void>
}

const execute = promisify(execFile)

/** What somebody does by hand: look at the stack and at the device, grow, and look at the filesystem. */
function stepsOf({ mountPoint, device }: Mounted): readonly (readonly string[])[] {
  return [
    ['lsblk', '--bytes', '--output', 'NAME,TYPE,SIZE,FSTYPE,MOUNTPOINTS', device],
    ['blockdev', '--getsize64', device],
    ['xfs_growfs', '-d', mountPoint],
    ['df', '--block-size=1', mountPoint],
  ]
}

export async function waysOver(access: Access): Promise<readonly Way[]> {
  return [await ours(access), oursCold(access), script(access), await steps(access), connections(access)]
}

function hostOver({ port, identity, knownHosts }: Access): Host {
  return sshHost({
    ...{ host: '127.0.0.1', port, username: 'root', agent: false, knownHosts: { files: [knownHosts] } },
    privateKey: readFileSync(identity),
  })
}

/** One host for all growths, as a program that grows many has it. */
async function ours(access: Access): Promise<Way> {
  const host = hostOver(access)
  await host.exec(['true'])
  return {
    name: 'ours',
    grow: ({ mountPoint }) => expand({ host, path: mountPoint, to: 'fill' }).then(),
    close: async () => host.close?.(),
  }
}

/** With a connection that is made for the growth. */
function oursCold(access: Access): Way {
  return {
    name: 'oursCold',
    async grow({ mountPoint }) {
      const host = hostOver(access)
      try {
        await expand({ host, path: mountPoint, to: 'fill' })
      } finally {
        await host.close?.()
      }
    },
    close: async () => {},
  }
}

function optionsOf({ port, identity, knownHosts }: Access): readonly string[] {
  const settings = {
    ...{ Port: port, User: 'root', IdentityFile: identity, IdentitiesOnly: 'yes', UserKnownHostsFile: knownHosts },
    ...{ StrictHostKeyChecking: 'yes', BatchMode: 'yes', LogLevel: 'ERROR' },
  }
  return ['-F', 'none', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

/** One connection, and on it one shell that reads the four commands from its input. */
function script(access: Access): Way {
  return {
    name: 'script',
    async grow(volume) {
      const running = execute('ssh', [...optionsOf(access), '127.0.0.1', 'sh', '-s'])
      running.child.stdin?.end(
        `set -e\n${stepsOf(volume)
          .map((step) => `${step.join(' ')}\n`)
          .join('')}`,
      )
      await running
    },
    close: async () => {},
  }
}

/** One session for each command, on a connection that is open already. */
async function steps(access: Access): Promise<Way> {
  const socket = ['-S', join(access.directory, `shared-${access.port}`)]
  await execute('ssh', [...optionsOf(access), ...socket, '-M', '-N', '-f', '127.0.0.1'])
  return {
    name: 'steps',
    grow: (volume) => oneByOne(volume, [...optionsOf(access), ...socket]),
    close: async () => {
      await execute('ssh', [...socket, '-O', 'exit', '127.0.0.1'])
    },
  }
}

/** One connection for each command. */
function connections(access: Access): Way {
  return { name: 'connections', grow: (volume) => oneByOne(volume, optionsOf(access)), close: async () => {} }
}

async function oneByOne(volume: Mounted, options: readonly string[]): Promise<void> {
  for (const step of stepsOf(volume)) await execute('ssh', [...options, '127.0.0.1', ...step])
}
