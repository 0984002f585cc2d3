import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How a program ended, and what it left behind. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly output: string
  /** Names in its temporary directory, mounts below it, loop devices over files in it. */
  readonly left: readonly string[]
}

export interface Running {
  readonly directory?: string
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly gid?: number
  readonly args?: readonly string[]
  /** Called with all that was written so far, and a way to send a signal. */
  readonly onOutput?: (output: string, kill: (signal: NodeJS.Signals) => void) => void
}

/** Runs `node --import tsx` in a checkout, piped, with a temporary directory of its own, and looks at what is left when it has ended. */
export async function runProgram(
  program: string,
  {
    directory = mkdtempSync(join(realpathSync(tmpdir()), 'examples-')),
    env = {},
    args = [],
    onOutput,
    ...as
  }: Running & {
    readonly cwd: string
    readonly node?: string
  },
): Promise<Ended> {
  const { node = process.execPath, ...options } = as
  const child = spawn(node, ['--import', 'tsx', program, ...args], {
    ...options,
    // Nothing of the test runner's own: what a person has in a shell.
    env: {
      PATH: process.env['PATH'],
      HOME: directory,
      LANG: 'C.UTF-8',
      TSX_DISABLE_CACHE: '1',
      ...env,
      TMPDIR: directory,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const collect = (text: Buffer): void => {
    output += text
    onOutput?.(output, (signal) => child.kill(signal))
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  try {
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (...how) => resolve(how))
    })
    return { code, signal, output, left: leftIn(directory) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function leftIn(directory: string): readonly string[] {
  const files = readdirSync(directory).filter((name) => !name.startsWith('tsx-'))
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory))
  const loops = readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .filter((name) => backingFile(name).includes(directory))
  return [...files, ...mounts, ...loops]
}

function backingFile(loop: string): string {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, 'utf8')
  } catch {
    // No such attribute: the device has no file.
    return ''
  }
}
