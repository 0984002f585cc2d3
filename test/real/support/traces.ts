import { readFileSync } from 'node:fs'
import { run } from './commands.ts'
import type { Disk } from './disk.ts'

/** The loop devices over a disk's image, and the mounts of them that this mount namespace has, each with its own options. */
export function tracesOf(disk: Disk): readonly string[] {
  const loops = run('losetup', '--noheadings', '--output', 'NAME', '--associated', disk.image).split('\n')
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const ours = mounts.filter((mount) => loops.some((loop) => mount.split(' ').includes(loop.trim())))
  // After the dash are the options of the filesystem, which a kernel may extend when it grows.
  return [...loops, ...ours.map((mount) => mount.split(' - ')[0] ?? '')]
}
