import { spawn, spawnSync } from 'node:child_process'
import type { RemoteHostOptions, RemoteTransport } from '../../../src/hosts/remote/host.ts'
import { bootArgv } from '../../../src/hosts/remote/request.ts'

/** The shells of this machine that a script may meet as /bin/sh. */
export const shells: readonly (readonly string[])[] = [['/bin/sh'], ['dash'], ['bash'], ['busybox', 'sh']].filter(
  ([program = '', ...args]) => spawnSync(program, [...args, '-c', 'exit 0']).status === 0,
)

/** Runs the boot command on this machine, in a session of its own as an SSH server does it. */
export function shellTransport(shell: readonly string[] = ['/bin/sh']): RemoteTransport & { readonly opened: number } {
  const before = bootArgv.slice(0, bootArgv.indexOf('/bin/sh'))
  const after = bootArgv.slice(bootArgv.indexOf('/bin/sh') + 1)
  const [program = '', ...args] = [...before, ...shell, ...after]
  let opened = 0
  return {
    get opened() {
      return opened
    },
    async open() {
      opened += 1
      const child = spawn(program, args, { cwd: '/', detached: true, stdio: 'pipe' })
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
    close: async () => undefined,
  }
}

export function shellOptions(transport: RemoteTransport): RemoteHostOptions {
  return {
    ...{ id: 'shell', transport, elevation: 'none', sudoCommands: false },
    runtimeDirectories: ['/run', '/run/user/*', '/dev/shm'],
  }
}
