import { readdirSync, readFileSync } from 'node:fs'
import { until } from './commands.ts'

/** A growth tool that works on a device: found by its arguments, which name the device. */
export interface RunningTool {
  readonly pid: number
  isRunning(): boolean
  /** Keeps it from going on, as long as it is in user space; what the kernel does for it goes on. */
  pause(): void
  resume(): void
  ended(): Promise<unknown>
}

/** Waits for a tool of that name with that device or directory among its arguments. */
export function toolOn(name: string, argument: string): Promise<RunningTool> {
  return until(`${name} on ${argument}`, () => {
    const pid = processes().find((candidate) => {
      const [program = '', ...args] = argumentsOf(candidate)
      return program.endsWith(name) && args.includes(argument)
    })
    return pid === undefined ? undefined : runningTool(pid)
  })
}

function runningTool(pid: number): RunningTool {
  const began = startOf(pid)
  const isRunning = (): boolean => began !== undefined && startOf(pid) === began && !/^State:\sZ/m.test(statusOf(pid))
  return {
    pid,
    isRunning,
    pause: () => void process.kill(pid, 'SIGSTOP'),
    resume: () => void (isRunning() && process.kill(pid, 'SIGCONT')),
    ended: () => until(`the end of process ${pid}`, () => !isRunning()),
  }
}

function processes(): readonly number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
}

function argumentsOf(pid: number): readonly string[] {
  return textOf(`/proc/${pid}/cmdline`)?.split('\0') ?? []
}

function statusOf(pid: number): string {
  return textOf(`/proc/${pid}/status`) ?? ''
}

// Process ids are used again; together with the time of its start an id is one process. The name in parentheses may hold anything.
function startOf(pid: number): string | undefined {
  return textOf(`/proc/${pid}/stat`)?.replace(/^.*\)/s, '').split(' ')[20]
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
