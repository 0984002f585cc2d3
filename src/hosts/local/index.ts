import { spawn } from 'node:child_process'
import { checkPath } from '../command.ts'
import type { Host } from '../host.ts'
import { hostOn } from './host.ts'
import { ScratchFiles } from './scratch.ts'
import { findTool } from './tools.ts'

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
  return hostOn({ spawn, scratch: new ScratchFiles(options.runtimeDirectory), find: findTool })
}
