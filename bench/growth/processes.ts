import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'

/**
 * How many processes `work` started.
 *
 * In a PID namespace of its own the kernel's count is taken: the last process id given out there, which grows with every process (and thread) that anybody in it
 * starts, whichever way, children of children included. Elsewhere it would count the neighbours as well; there Node.js says what it spawned.
 */
export async function countProcesses(isolated: boolean, work: () => Promise<unknown>): Promise<number> {
  return isolated ? countedByKernel(work) : countedByNode(work)
}

async function countedByKernel(work: () => Promise<unknown>): Promise<number> {
  const before = lastProcessId()
  await work()
  return lastProcessId() - before
}

/** The last field of /proc/loadavg; proc(5). */
function lastProcessId(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').trim().split(' ').at(-1))
}

export async function countedByNode(work: () => Promise<unknown>): Promise<number> {
  let count = 0
  const counting = (): void => {
    count += 1
  }
  subscribe('child_process', counting)
  try {
    await work()
  } finally {
    unsubscribe('child_process', counting)
  }
  return count
}
