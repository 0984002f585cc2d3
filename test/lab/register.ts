import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process that the lab started, and everything that is needed to end exactly it. */
export interface Part {
  readonly name: string
  readonly pid: number
  /** When the process began, in clock ticks after boot: a reused pid has another one. */
  readonly startTicks: string
  /** Ports on 127.0.0.1 that are the part's own, by purpose. */
  readonly ports: Readonly<Record<string, number>>
  /** Everything that the part writes on this machine. */
  readonly directory: string
}

/** Where the lab keeps what it makes: outside of any checkout, so that clones share it and `git clean` leaves nothing running behind. */
export function labDirectory(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(cache, 'volume-expander-lab')
}

/** The one place that knows what runs and which ports are taken. Its methods read the file anew each time, so that several runs can share it. */
export class Register {
  readonly #file: string
  readonly #lock: string
  readonly #directory: string

  constructor(directory: string = labDirectory()) {
    this.#directory = directory
    this.#file = join(directory, 'register.json')
    this.#lock = join(directory, 'register.lock')
  }

  /** The parts that run now; those that have ended meanwhile are forgotten. */
  async living(): Promise<readonly Part[]> {
    return this.#change((parts) => parts)
  }

  async add(part: Part): Promise<void> {
    await this.#change((parts) => [...parts, part])
  }

  async remove(pid: number): Promise<void> {
    await this.#change((parts) => parts.filter((part) => part.pid !== pid))
  }

  /** Ports on 127.0.0.1 that are free now and that no living part has, one for each purpose. */
  async freePorts(purposes: readonly string[]): Promise<Readonly<Record<string, number>>> {
    const taken = new Set((await this.living()).flatMap((part) => Object.values(part.ports)))
    const ports: Record<string, number> = {}
    for (const purpose of purposes) {
      let port = await freePort()
      while (taken.has(port)) port = await freePort()
      taken.add(port)
      ports[purpose] = port
    }
    return ports
  }

  async #change(change: (living: readonly Part[]) => readonly Part[]): Promise<readonly Part[]> {
    await mkdir(this.#directory, { recursive: true })
    const unlock = await this.#acquire()
    try {
      const known = await this.#read()
      const living = await filterAsync(known, isLiving)
      const parts = change(living)
      const replacement = `${this.#file}.${process.pid}`
      await writeFile(replacement, `${JSON.stringify(parts, null, 2)}\n`)
      await rename(replacement, this.#file)
      return parts
    } finally {
      await unlock()
    }
  }

  async #read(): Promise<readonly Part[]> {
    try {
      return JSON.parse(await readFile(this.#file, 'utf8'))
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  async #acquire(): Promise<() => Promise<void>> {
    for (;;) {
      try {
        const handle = await open(this.#lock, 'wx')
        await handle.writeFile(String(process.pid))
        await handle.close()
        return () => rm(this.#lock, { force: true })
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
        const owner = await readFile(this.#lock, 'utf8').catch(() => '')
        if (owner !== '' && (await startTicksOf(Number(owner))) === undefined) await rm(this.#lock, { force: true })
        await sleep(20)
      }
    }
  }
}

/** When a process began; undefined when there is none with this pid, or only its zombie. */
export async function startTicksOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The command, in parentheses, may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

export async function isLiving(part: Part): Promise<boolean> {
  return (await startTicksOf(part.pid)) === part.startTicks
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
}

async function filterAsync<Item>(items: readonly Item[], keep: (item: Item) => Promise<boolean>): Promise<Item[]> {
  const kept = await Promise.all(items.map(keep))
  return items.filter((_, index) => kept[index])
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('A listening server has no address.'))
      })
    })
  })
}
