import { execFileSync, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Runs a program of the system; what it said on its standard output. Fails with what it said on the other one. */
export function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env }).trim()
}

/** How a program that may fail has ended, and all that it said; the answer is what was on its standard output. */
export interface Attempt {
  readonly code: number
  readonly said: string
  readonly answer: string
}

export function attempt(program: string, ...args: readonly string[]): Attempt {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env })
  if (error !== undefined) throw error
  return { code: status ?? -1, said: `${stdout}${stderr}`.trim(), answer: stdout.trim() }
}

// The tools are in directories that an ordinary PATH may lack, and their words are compared.
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: 'C' }

/** Asks again until there is an answer; a busy machine is given time. */
export async function until<Answer>(
  what: string,
  ask: () => Answer | undefined | false | Promise<Answer | undefined | false>,
  seconds = 60,
): Promise<Answer> {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(5)) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
  }
  throw new Error(`${what} did not happen within ${seconds} s.`)
}
