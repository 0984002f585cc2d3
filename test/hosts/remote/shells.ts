import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import type { RemoteHostOptions, RemoteTransport } from '../../../src/hosts/remote/host.ts'
import { bootArgv } from '../../../src/hosts/remote/request.ts'

/** The shells of this machine that a script may meet as /bin/sh. */
export const shells: readonly (readonly string[])[] = [['/bin/sh'], ['dash'], ['bash'], ['busybox', 'sh']].filter(
  ([program = '', ...args]) => spawnSync(program, [...args, '-c', 'exit 0']).status === 0,
)

/** Every interpreter that a script may meet, and whether its sessions are kept. */
export const ways: readonly Way[] = [
  ...shells.map((shell): Way => ({ name: shell.join(' '), shell, interpreter: 'shell', keeps: undefined })),
  ...shells.map((shell): Way => ({ name: `${shell.join(' ')}, kept`, shell, interpreter: 'shell', keeps: 8 })),
  { name: 'perl', shell: ['/bin/sh'], interpreter: 'perl', keeps: undefined },
  { name: 'perl, kept', shell: ['/bin/sh'], interpreter: 'perl', keeps: 8 },
  { name: 'what is there, kept', shell: ['/bin/sh'], interpreter: 'any', keeps: 8 },
]

export interface Way {
  readonly name: string
  readonly shell: readonly string[]
  readonly interpreter: 'perl' | 'shell' | 'any'
  readonly keeps: number | undefined
}

/**
 * Runs the boot command on this machine, in a session of its own as an SSH server does it.
 * @param path where it looks for programs instead of the usual places
 */
export function shellTransport(
  shell: readonly string[] = ['/bin/sh'],
  keeps?: number,
  path?: string,
): RemoteTransport & { readonly opened: number } {
  const before = bootArgv.slice(0, bootArgv.indexOf('/bin/sh'))
  const after = bootArgv.slice(bootArgv.indexOf('/bin/sh') + 1)
  const words = before.map((word) => (path !== undefined && word.startsWith('PATH=') ? `PATH=${path}` : word))
  const [program = '', ...args] = [...words, ...shell, ...after]
  let opened = 0
  const channels = new Set<ChildProcess>()
  return {
    ...(keeps === undefined ? {} : { keeps }),
    get opened() {
      return opened
    },
    async open() {
      opened += 1
      const child = spawn(program, args, { cwd: '/', detached: true, stdio: 'pipe' })
      channels.add(child)
      child.once('close', () => channels.delete(child))
      return {
        ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr },
        ended: new Promise((resolve) => {
          child.once('close', (exitCode, signal) =>
            resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined }),
          )
        }),
        close: () => void child.stdin.end(),
      }
    },
    close: async () => {
      for (const child of channels) child.stdin?.end()
    },
  }
}

export function shellOptions(transport: RemoteTransport, interpreter: Way['interpreter'] = 'shell'): RemoteHostOptions {
  return {
    ...{ id: 'shell', transport, elevation: 'none', sudoCommands: false },
    ...(interpreter === 'any' ? {} : { interpreter }),
    runtimeDirectories: ['/run', '/run/user/*', '/dev/shm'],
  }
}
