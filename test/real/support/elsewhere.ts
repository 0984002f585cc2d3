import { spawn } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import { until } from './commands.ts'
import type { Disk } from './disk.ts'

/** Mounts it where this process does not see it. @returns what ends that */
export async function mountElsewhere(disk: Disk): Promise<() => Promise<void>> {
  const child = spawn(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      'mount "$1" /mnt && echo mounted && exec sleep 1000',
      'sh',
      disk.device,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    // The namespace is taken down a moment after its last process.
    await until(`${disk.device} to be free`, () => isFree(disk.device))
  }
  onTestFinished(end)
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return end
}

function isFree(device: string): boolean {
  try {
    closeSync(openSync(device, constants.O_RDONLY | constants.O_EXCL))
    return true
  } catch {
    return false
  }
}
