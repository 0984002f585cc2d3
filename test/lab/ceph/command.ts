import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Left out: 60. */
  readonly seconds?: number
}

/** Runs a command and returns what it wrote; rejects with what it said when it fails. */
export async function run(
  [program, ...args]: readonly [string, ...string[]],
  { env = {}, seconds = 60 }: CommandOptions = {},
): Promise<string> {
  const { stdout } = await execute(program, args, {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', ...env },
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 2 ** 20,
  })
  return stdout
}
