import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { release, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Who runs the demo, and on what. */
export interface Machine {
  readonly user: string
  readonly isRoot: boolean
  readonly kernel: string
  /** The rights that growing mounted filesystems takes (capabilities(7)), and whether this process has them. */
  readonly rights: Readonly<Record<'CAP_SYS_ADMIN' | 'CAP_SYS_RESOURCE', boolean>>
}

export function lookAtMachine(): Machine {
  const uid = process.geteuid?.() ?? -1
  const has = (bit: bigint): boolean => ((capabilities() >> bit) & 1n) === 1n
  return {
    user: `${nameOfUser()} (uid ${uid})`,
    isRoot: uid === 0,
    kernel: release(),
    rights: { CAP_SYS_ADMIN: has(21n), CAP_SYS_RESOURCE: has(24n) },
  }
}

function capabilities(): bigint {
  const hexadecimal = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  return BigInt(`0x${hexadecimal ?? '0'}`)
}

function nameOfUser(): string {
  try {
    return userInfo().username
  } catch {
    // Containers run as users that no passwd file names.
    return 'an unnamed user'
  }
}

/** The PATH of ordinary users lacks the directories that the tools of filesystems are in. */
const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Absolute path of a program; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  return directories
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

export interface Ran {
  readonly ok: boolean
  readonly stdout: string
  /** What it said last, or why it could not be run. */
  readonly complaint: string
}

/** Runs a tool to its end, in a neutral language. Never rejects. */
export function tryTool(name: string, args: readonly string[], cwd = '/'): Promise<Ran> {
  const program = findProgram(name)
  if (program === undefined) return Promise.resolve({ ok: false, stdout: '', complaint: `${name} is not installed` })
  const env = { ...process.env, LC_ALL: 'C' }
  return new Promise((resolve) => {
    execFile(program, [...args], { cwd, env, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      resolve({
        ok: error === null,
        stdout,
        complaint: error === null ? '' : lastWord(stdout, stderr) || error.message,
      })
    })
  })
}

/** The last thing that a tool said, but for its version and the advice to look elsewhere. */
function lastWord(stdout: string, stderr: string): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !/^\S+ \d+\.\d+|dmesg\(1\)/.test(line)).at(-1) ?? ''
}

/** The same for a tool without which the demo cannot go on. */
export async function runTool(name: string, args: readonly string[], cwd = '/'): Promise<string> {
  const ran = await tryTool(name, args, cwd)
  if (!ran.ok) throw new Error(`${name}: ${ran.complaint}`)
  return ran.stdout
}

/** Tries again for as long as something else is merely in the way. */
export async function patiently(work: () => Promise<Ran>, inTheWay: RegExp, tries = 12): Promise<Ran> {
  for (let attempt = 1; ; attempt += 1) {
    const ran = await work()
    if (ran.ok || attempt >= tries || !inTheWay.test(ran.complaint)) return ran
    await sleep(250)
  }
}
