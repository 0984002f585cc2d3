import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPart, stopPart } from '../part.ts'

/** Namespaces of a node on this machine: process 1 of its own, and below it pods that are in other namespaces than that but for the processes. */
export interface EmulatedNode {
  /** How this machine calls process 1 of the node. */
  readonly pid: number
  /** The command that runs what follows it in a pod of the node. @param group directory of the control group that the pod is in */
  pod(group?: string): readonly string[]
  /** A namespace of the node. */
  namespace(kind: 'mnt' | 'uts' | 'net'): string
  stop(): Promise<void>
}

// Process 1 of a namespace sees only those signals that it handles.
const first = 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done'
const joinGroup = 'echo 0 >"$1/cgroup.procs" || exit; shift; exec "$@"'
const renamed = 'hostname the-pod && mount -t tmpfs pod /mnt && exec "$@"'

/** Needs root. Devices and files are this machine's. */
export async function startNode(): Promise<EmulatedNode> {
  const running = await startPart({
    name: 'kubernetes-node',
    prepare: async () => ({
      argv: [
        ...(['unshare', '--pid', '--fork', '--mount', '--propagation', 'slave', '--uts', '--ipc'] as const),
        ...['--mount-proc', '--kill-child', 'sh', '-c', first],
      ],
      env: { PATH: process.env['PATH'] },
    }),
  })
  const pid = await childOf(running.part.pid)
  return {
    pid,
    namespace: (kind) => readlinkSync(`/proc/${pid}/ns/${kind}`),
    pod: (group) => [
      ...(group === undefined ? [] : ['sh', '-c', joinGroup, 'sh', group]),
      ...['nsenter', '--target', `${pid}`, '--mount', '--uts', '--pid', '--'],
      ...['unshare', '--mount', '--uts', '--ipc', '--net', '--cgroup', 'sh', '-c', renamed, 'sh'],
    ],
    stop: () => stopPart(running.part),
  }
}

async function childOf(parent: number): Promise<number> {
  const end = performance.now() + 15_000
  while (performance.now() < end) {
    const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ')
    // It is process 1 of a namespace from its first moment on, and has /proc of its own once it is the shell.
    if (child !== undefined && child !== '' && readFileSync(`/proc/${child}/comm`, 'utf8') === 'sh\n') {
      return Number(child)
    }
    await sleep(20)
  }
  throw new Error('The first process of the node did not start.')
}
