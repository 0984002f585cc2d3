import * as fs from 'node:fs'
import type { StorageSource } from '../storage/source.ts'
import { listNow, readNow, realpath, stat, statNow } from './files.ts'
import { probe } from './probe.ts'
import { readStatfs } from './reads.ts'
import { observeSystem } from './system.ts'
import { usersOfDevice, usersOfImage } from './users.ts'

/** The files of this machine; starts no process, but for LVM. */
export const localFiles: Omit<StorageSource, 'lvm'> = {
  system: observeSystem,
  text: readNow,
  bytes: bytesNow,
  // In an order that does not depend on the machine.
  list: (path) => [...listNow(path)].sort(),
  node: statNow,
  stat,
  realpath,
  statfs: (path) => readStatfs({ read: 'statfs', path }),
  canWrite: (path) => new Promise((resolve) => fs.access(path, fs.constants.W_OK, (error) => resolve(error === null))),
  probe,
  usersOfDevice,
  usersOfImage,
}

function bytesNow(path: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(path)
  } catch {
    return undefined
  }
}
