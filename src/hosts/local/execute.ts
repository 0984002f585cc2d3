import type { ChildProcess, SpawnOptions } from 'node:child_process'
import * as fs from 'node:fs'
import { VolumeExpansionError } from '../../errors.ts'
import { commandEnvironment, outputLimit } from '../command.ts'
import { errnoOf } from '../errno.ts'
import { flockArgv, judgeFlock, withoutFlockLines } from '../flock.ts'
import type { ExecOptions, ExecResult } from '../host.ts'
import { leaveControlGroups, waysOut } from './control-group.ts'
import { open, stat, statsOf } from './files.ts'
import { lastPart, type ScratchFiles } from './scratch.ts'
import { TailBuffer } from './tail.ts'
import type { ToolLocation } from './tools.ts'

export type Spawn = (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess

/** What running commands needs of the machine. */
export interface Machine {
  readonly spawn: Spawn
  readonly scratch: ScratchFiles
  readonly find: (name: string) => ToolLocation
}

// O_PATH names a file without opening it, so that neither a slow device nor a right that only flock needs matters here.
const pathOnly = 0o10000000
// setTimeout counts in a 32-bit integer; a deadline beyond these 24 days is none.
const longestTimer = 2 ** 31 - 1
/** Milliseconds between SIGTERM and SIGKILL, and again until a process that even that does not end is given up. */
const grace = 2_000
/** Milliseconds that the output of a command may stay open after its end, held by a child of its own. */
const drain = 200

/** How a process ended, as far as that was waited for. */
interface Ending {
  readonly exitCode?: number
  readonly signal?: string
  /** Not waited for any longer: its deadline or the caller's abort came first. */
  readonly left?: true
  /** Told to end by us. */
  readonly killed?: true
}

/** The parts of a result that the command itself decides. */
type Outcome = Omit<ExecResult, 'argv' | 'milliseconds'> & {
  /** What is missing, when that is not the command itself. */
  readonly argv?: readonly string[]
}

/**
 * Runs one command. An abort ends a command that is not detached, and stops waiting for one that is; whoever called has rejected by then.
 *
 * @throws {VolumeExpansionError} `host-unreachable` when the machine cannot start a process at all, `permission-denied` when there is no place for the output
 * of a detached one; nothing was begun
 */
export async function execute(
  machine: Machine,
  argv: readonly string[],
  options: Omit<ExecOptions, 'signal'>,
  signal: AbortSignal | undefined,
): Promise<ExecResult> {
  const started = performance.now()
  const opened: number[] = []
  try {
    const prepared = await prepare(machine, argv, options, opened)
    const outcome = 'ended' in prepared ? prepared : await run(machine, prepared, options, signal)
    return { argv, ...outcome, milliseconds: performance.now() - started }
  } finally {
    for (const fd of opened) fs.closeSync(fd)
  }
}

/** A command that is ready to be spawned. */
interface Prepared {
  readonly command: readonly string[]
  readonly stdio: readonly (number | 'pipe' | 'ignore')[]
  /** The descriptors of the files that a detached command writes to. */
  readonly output?: readonly [number, number]
  readonly locks: boolean
}

/** A command that did not begin, with the reason as its error output. */
function notBegun(ended: 'missing' | 'refused', stderr: string): Outcome {
  return { ended, ok: false, stdout: '', stderr }
}

async function prepare(
  machine: Machine,
  argv: readonly string[],
  options: Omit<ExecOptions, 'signal'>,
  opened: number[],
): Promise<Prepared | Outcome> {
  const [name = '', ...args] = argv
  const tool = machine.find(name)
  if (!tool.ok) return notBegun(tool.ended, tool.message)
  const stdin = options.stdin === undefined ? 'ignore' : 'pipe'
  const keep = (fd: number): number => {
    opened.push(fd)
    return fd
  }
  const output =
    options.detached === true ? ([keep(machine.scratch.open()), keep(machine.scratch.open())] as const) : undefined
  const stdio: (number | 'pipe' | 'ignore')[] = [stdin, output?.[0] ?? 'pipe', output?.[1] ?? 'pipe']
  const command = [tool.path, ...args]
  const written = output === undefined ? {} : { output }
  if (options.lock === undefined || options.lock.length === 0) return { command, stdio, locks: false, ...written }

  const flock = machine.find('flock')
  if (!flock.ok) return { argv: ['flock'], ...notBegun(flock.ended, flock.message) }
  const files = await openLockable(options.lock, keep)
  if ('reason' in files) return notBegun('refused', files.reason)
  // Through its own descriptor flock opens exactly what was looked at; by a path it would create a file where a device has just vanished.
  const paths = files.map((fd) => `/proc/self/fd/${stdio.push(fd) - 1}`)
  return { command: flockArgv(flock.path, paths, command), stdio, locks: true, ...written }
}

/**
 * The files to lock: each inode once, because a second open of the same one would wait for the first for ever, and in the order of their identity, so that two
 * runs never hold one each and want the other.
 *
 * @returns their descriptors, or the reason why one of them cannot be had
 */
async function openLockable(
  paths: readonly string[],
  keep: (fd: number) => number,
): Promise<readonly number[] | { readonly reason: string }> {
  const inodes = new Map<string, number>()
  for (const path of paths) {
    try {
      // Nodes of devices are in memory; an image may be on a filesystem that hangs.
      const inMemory = path.startsWith('/dev/')
      const fd = keep(inMemory ? fs.openSync(path, pathOnly) : await open(path, pathOnly))
      const { dev, ino } = inMemory ? statsOf(fs.fstatSync(fd, { bigint: true })) : await stat(`/proc/self/fd/${fd}`)
      const identity = `${dev} ${`${ino}`.padStart(20, '0')}`
      if (!inodes.has(identity)) inodes.set(identity, fd)
    } catch (thrown) {
      return { reason: `${path}: cannot be locked: ${errnoOf(thrown)}` }
    }
  }
  return [...inodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, fd]) => fd)
}

async function run(
  machine: Machine,
  { command, stdio, output, locks }: Prepared,
  options: Omit<ExecOptions, 'signal'>,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const detached = output !== undefined
  const [file = '', ...args] = command
  let child: ChildProcess
  try {
    child = machine.spawn(file, args, { cwd: '/', env: commandEnvironment, stdio: [...stdio], detached })
  } catch (thrown) {
    return unstarted(thrown)
  }
  if (child.pid === undefined) return unstarted(await new Promise((resolve) => child.once('error', resolve)))

  const streams = detached ? undefined : collect(child)
  const ended = detached ? endOfDetached(child, options.deadline, signal) : endOf(child, options.deadline, signal)
  const group = detached ? ownGroup(child.pid) : undefined
  if (options.stdin !== undefined && child.stdin !== null) {
    // A command may end without having read its input.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.stdin)
  }
  const ending = await ended
  const [stdout, stderr] = output === undefined ? (streams?.() ?? ['', '']) : [lastPart(output[0]), lastPart(output[1])]
  const left = group?.()
  return {
    ...judge(ending, stdout, stderr, locks, options.accept ?? [0]),
    ...(left === undefined ? {} : { ownControlGroup: left }),
  }
}

/** Why a process could not be started: because of the file, or because of the machine. */
function unstarted(thrown: unknown): Outcome {
  const errno = errnoOf(thrown)
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  if (errno === 'ENOENT') return notBegun('missing', message)
  if (['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(errno)) {
    throw new VolumeExpansionError('host-unreachable', `The machine cannot start a process: ${message}`, {
      ...{ layer: 'host', outcome: 'unchanged', retryable: true, cause: thrown },
      remedy: 'Look at the limits of processes, memory and open files.',
    })
  }
  return notBegun('refused', message)
}

function judge(
  ending: Ending,
  rawStdout: string,
  rawStderr: string,
  locks: boolean,
  accept: readonly number[],
): Outcome {
  const stdout = locks ? withoutFlockLines(rawStdout) : rawStdout
  const stderr = locks ? withoutFlockLines(rawStderr) : rawStderr
  const { exitCode, signal } = ending
  const how = { ...(exitCode === undefined ? {} : { exitCode }), ...(signal === undefined ? {} : { signal }) }
  if (ending.killed === true) return { ended: 'killed', ok: false, ...how, stdout, stderr }
  if (ending.left === true) return { ended: 'running', ok: false, stdout, stderr }
  const unbegun = locks ? judgeFlock(exitCode, stderr) : undefined
  if (unbegun !== undefined) return { ended: unbegun, ok: false, stdout: '', stderr }
  const ok = exitCode !== undefined && accept.includes(exitCode)
  return { ended: signal === undefined ? 'exited' : 'signalled', ok, ...how, stdout, stderr }
}

/** Leaves the control groups beside the running command; the answer is what is known by the time that it is asked for. */
function ownGroup(pid: number): () => boolean | undefined {
  const ways = waysOut()
  if (ways === undefined || ways.length === 0) return () => ways !== undefined
  let left: boolean | undefined
  leaveControlGroups(pid, ways).then((result) => {
    left = result
  })
  return () => left
}

function endingOf(exitCode: number | null, signal: string | null): Ending {
  return { ...(exitCode === null ? {} : { exitCode }), ...(signal === null ? {} : { signal }) }
}

function endOfDetached(
  child: ChildProcess,
  deadline: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  return new Promise((resolve) => {
    const done = (ending: Ending): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      resolve(ending)
    }
    const leave = (): void => {
      // It goes on without us, and does not keep us alive.
      child.unref()
      done({ left: true })
    }
    const timer = after(deadline, leave)
    child.once('exit', (code, name) => done(endingOf(code, name)))
    signal?.addEventListener('abort', leave, { once: true })
  })
}

function endOf(child: ChildProcess, deadline: number | undefined, signal: AbortSignal | undefined): Promise<Ending> {
  return new Promise((resolve) => {
    let killed = false
    let next: NodeJS.Timeout | undefined
    const done = (ending: Ending): void => {
      clearTimeout(timer)
      clearTimeout(next)
      signal?.removeEventListener('abort', stop)
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
      resolve(killed ? { ...ending, killed: true } : ending)
    }
    const stop = (): void => {
      if (killed) return
      killed = true
      child.kill('SIGTERM')
      next = after(grace, () => {
        child.kill('SIGKILL')
        next = after(grace, () => {
          child.unref()
          done({})
        })
      })
    }
    const timer = after(deadline, stop)
    child.once('exit', (code, name) => {
      const ending = endingOf(code, name)
      clearTimeout(next)
      next = after(drain, () => done(ending))
      child.once('close', () => done(ending))
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}

function after(milliseconds: number | undefined, then: () => void): NodeJS.Timeout | undefined {
  return milliseconds === undefined || milliseconds > longestTimer ? undefined : setTimeout(then, milliseconds)
}

function collect(child: ChildProcess): () => [string, string] {
  const stdout = new TailBuffer(outputLimit)
  const stderr = new TailBuffer(outputLimit)
  child.stdout?.on('data', (chunk: Uint8Array) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Uint8Array) => stderr.push(chunk))
  return () => [stdout.text(), stderr.text()]
}
