import { checkPath } from '../command.ts'
import type { Host } from '../host.ts'

export interface LocalHostOptions {
  /**
   * Absolute path of a directory on a tmpfs in which the output of detached tools is kept while they run. The files have no names and leave nothing behind. Left
   * out: the first writable one of the usual places (/run and /dev/shm, for others than root their own runtime directory).
   */
  readonly runtimeDirectory?: string
}

/**
 * The machine that this process runs on. Reads happen in this process and start none; a command costs one process, a detached one that holds locks included. Needs
 * nothing but Linux, and util-linux' flock where a command is to hold a lock.
 *
 * @throws {TypeError} when `runtimeDirectory` is not an absolute path
 */
export function localHost(options: LocalHostOptions = {}): Host {
  if (options.runtimeDirectory !== undefined) checkPath(options.runtimeDirectory, 'runtimeDirectory')
  let loaded: Promise<Host> | undefined
  const host = (): Promise<Host> => {
    loaded ??= load(options.runtimeDirectory)
    return loaded
  }
  return {
    id: 'local',
    exec: async (argv, given) => (await host()).exec(argv, given),
    batch: async (items, given) => (await host()).batch(items, given),
    close: async () => undefined,
  }
}

// Whoever imports the library for its types, or for another host, does not pay for child_process and all that reads this machine.
async function load(runtimeDirectory: string | undefined): Promise<Host> {
  const [{ spawn }, { hostOn }, { ScratchFiles }, { findTool }] = await Promise.all([
    import('node:child_process'),
    import('./host.ts'),
    import('./scratch.ts'),
    import('./tools.ts'),
  ])
  return hostOn({ spawn, scratch: new ScratchFiles(runtimeDirectory), find: findTool })
}
