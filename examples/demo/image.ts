import { mkdir, open } from 'node:fs/promises'
import type { Cleanup } from './cleanup.ts'
import { patiently, type Ran, tryTool } from './machine.ts'

/** An image that is mounted through a loop device. */
export interface Mounted {
  readonly device: string
  readonly mountPoint: string
  /** Unmounts it and gives the device back. */
  release(): Promise<void>
}

/** Why an image could not be mounted, in the words of the tool that refused. */
export interface NotMounted {
  readonly reason: string
}

/** A sparse file: it promises its size, and takes room only for what is written. */
export async function makeSparseFile(path: string, size: bigint): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  await handle.truncate(Number(size)).finally(() => handle.close())
}

/** Attaches the image to a free loop device and mounts it, if this machine lets us. */
export async function mountImage(
  image: string,
  type: string,
  mountPoint: string,
  cleanup: Cleanup,
  options: readonly string[] = [],
): Promise<Mounted | NotMounted> {
  const attached = await patiently(
    () => tryTool('losetup', ['--find', '--show', '--', image]),
    // Others use loop devices too: the one that was free may be taken a moment later.
    /cannot find an unused loop device|resource busy/i,
  )
  if (!attached.ok) return { reason: attached.complaint }
  const device = attached.stdout.trim()
  const detach = cleanup.add(`the loop device ${device}`, () => must(() => tryTool('losetup', ['--detach', device])))
  await mkdir(mountPoint, { recursive: true })
  const flags = ['nosuid', 'nodev', 'noexec', ...options].join(',')
  const mounted = await tryTool('mount', ['-t', type, '-o', flags, '--', device, mountPoint])
  if (!mounted.ok) {
    await detach()
    return { reason: mounted.complaint }
  }
  const unmount = cleanup.add(`the mount on ${mountPoint}`, () => must(() => tryTool('umount', ['--', mountPoint])))
  return {
    device,
    mountPoint,
    async release() {
      await unmount()
      await detach()
    },
  }
}

/** A filesystem stays busy for a moment after its last user has ended. */
async function must(work: () => Promise<Ran>): Promise<void> {
  const { ok, complaint } = await patiently(work, /busy/i, 20)
  if (!ok) throw new Error(complaint)
}
