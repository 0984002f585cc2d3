import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isLiving, labDirectory, type Part, Register, startTicksOf } from './register.ts'

/** What a part is given before it starts. */
export interface PartContext {
  /** An empty directory of its own; removed when it is stopped. */
  readonly directory: string
  readonly ports: Readonly<Record<string, number>>
}

export interface PartCommand {
  readonly argv: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  /** How many descriptors after standard error are pipes to the caller. Standard output and error go to {@link logOf} the part. */
  readonly pipes?: number
}

export interface PartDefinition {
  readonly name: string
  /** Purposes for which the part needs a port on 127.0.0.1 each. */
  readonly ports?: readonly string[]
  /** Writes what the part needs into its directory, and says how it is started. */
  prepare(context: PartContext): Promise<PartCommand>
}

export interface RunningPart {
  readonly part: Part
  readonly process: ChildProcess
  /** Resolves when it has ended by itself or was stopped. */
  readonly ended: Promise<void>
}

const secondsToEnd = 5

/** Starts a part in a process group of its own and enters it in the register. */
export async function startPart(definition: PartDefinition, directory: string = labDirectory()): Promise<RunningPart> {
  const register = new Register(directory)
  await mkdir(directory, { recursive: true })
  const own = await mkdtemp(join(directory, `${definition.name}-`))
  try {
    const ports = await register.freePorts(definition.ports ?? [])
    const { argv, env, pipes = 0 } = await definition.prepare({ directory: own, ports })
    const [program, ...args] = argv
    const log = await open(logOf(own), 'a')
    const child = spawn(program, args, {
      cwd: own,
      env,
      stdio: ['ignore', log.fd, log.fd, ...Array<'pipe'>(pipes).fill('pipe')],
      detached: true,
    })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    await once(child, 'spawn').finally(() => log.close())
    const pid = child.pid ?? 0
    const part: Part = {
      name: definition.name,
      pid,
      // A process that has ended already has nothing to be recognised by, and is forgotten at the next look.
      startTicks: (await startTicksOf(pid)) ?? 'ended',
      ports,
      directory: own,
    }
    await register.add(part)
    return { part, process: child, ended }
  } catch (error) {
    await rm(own, { recursive: true, force: true })
    throw error
  }
}

/** What a part that has this directory said. */
export function logOf(directory: string): string {
  return join(directory, 'log')
}

/** Ends exactly this part, with the process group that it leads, and removes its directory. Idempotent. */
export async function stopPart(part: Part, directory: string = labDirectory()): Promise<void> {
  if (await isLiving(part)) {
    signalGroup(part.pid, 'SIGTERM')
    const deadline = performance.now() + secondsToEnd * 1000
    while ((await isLiving(part)) && performance.now() < deadline) await sleep(50)
    if (await isLiving(part)) signalGroup(part.pid, 'SIGKILL')
    while (await isLiving(part)) await sleep(20)
  }
  await new Register(directory).remove(part.pid)
  await rm(part.directory, { recursive: true, force: true })
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
