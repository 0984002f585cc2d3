import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { logOf, type RunningPart } from './part.ts'
import type { Part } from './register.ts'

/**
 * Waits for a condition that may fail on the way there, for as long as everything that was started runs.
 *
 * @throws {Error} when one of them has ended, or after `seconds`; the condition's last reason is its cause
 */
export async function until(
  what: string,
  started: readonly RunningPart[],
  seconds: number,
  condition: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    let reason: unknown
    try {
      if (await condition()) return
    } catch (error) {
      reason = error
    }
    for (const { part, process: child } of started) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${part.name} has ended.`)
    }
    if (performance.now() > deadline) throw new Error(`Waited ${seconds} s for ${what}.`, { cause: reason })
    await sleep(100)
  }
}

/** What parts said last, for the message of a failure. */
export async function endOfLogs(parts: readonly Part[]): Promise<string> {
  const texts = parts.map(async ({ name, directory }) => {
    const text = await readFile(logOf(directory), 'utf8').catch(() => '')
    return `${name}:\n${text.slice(-3000)}`
  })
  return (await Promise.all(texts)).join('\n')
}
