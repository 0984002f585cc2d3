// A process of its own, as a database would be: appends records, and counts one as written only once fsync has returned.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { makeRecord, recordSize } from './records.ts'
import type { FromWriter } from './writer.ts'

const [path = ''] = process.argv.slice(2)
const timings: (readonly [number, number])[] = []
// Milliseconds of the machine's monotonic clock, which all processes share.
const now = (): number => Number(process.hrtime.bigint()) / 1e6
const tell = (message: FromWriter): void => void process.send?.(message)

// Ctrl-C reaches the whole group; the demo ends the writer itself, in order. When the demo dies, the channel closes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit())
process.on('message', () => {
  clearTimeout(next)
  closeSync(fd)
  // Ends when the channel does: a message could still be under way when an exit is noticed.
  tell({ timings })
})

const fd = openSync(path, 'ax')
let next: NodeJS.Timeout | undefined

function append(): void {
  const record = makeRecord(timings.length)
  const begun = now()
  try {
    if (writeSync(fd, record) < recordSize) throw new Error('a record was written in part')
    fsyncSync(fd)
  } catch (error) {
    tell({ failure: error instanceof Error ? error.message : String(error) })
    return
  }
  timings.push([begun, now() - begun])
  if (timings.length === 1) tell({ begun: true })
  next = setTimeout(append, 1)
}

append()
