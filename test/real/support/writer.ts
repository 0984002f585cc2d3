import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { until } from './commands.ts'

export { intactRecords } from './records.ts'

export interface Writer {
  /** Records that are known to be on the disk. */
  confirmed(): number
  /** Ends it; resolves with the number of confirmed records. Fails when a write or an fsync had failed. */
  stop(): Promise<number>
}

/** A process that writes and syncs without a pause. Resolves when its first record is on the disk. */
export async function startWriter(path: string): Promise<Writer> {
  const script = fileURLToPath(new URL('./writer-process.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let confirmed = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = text.split('\n').filter((line) => line !== '')
    confirmed = Math.max(confirmed, ...lines.map(Number))
  })
  await until('the first record', () => confirmed > 0)
  return {
    confirmed: () => confirmed,
    async stop() {
      child.stdin.end()
      const [code] = await exited
      if (code !== 0) throw new Error(`The writer ended with ${code}.`)
      return confirmed
    },
  }
}
