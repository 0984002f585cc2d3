// A program that uses the library and may be told at which call it dies; writes each call and each event as a line of JSON.
import { setTimeout as sleep } from 'node:timers/promises'
import { fileExpander } from '../../providers/file/expander.ts'
import { expand, localHost, volumeOf } from '../../src/index.ts'
import { jsonSafe } from '../../src/json.ts'
import { type Around, expanderWithin, hostWithin } from './calls.ts'
import type { GrowRequest } from './library.ts'

const { image, to, luksKey, dies }: GrowRequest = JSON.parse(process.argv[2] ?? '')

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(jsonSafe(line))}\n`)
}

const made = new Map<string, number>()
const around: Around = async (call, make) => {
  const nth = (made.get(call) ?? 0) + 1
  made.set(call, nth)
  tell({ type: 'call', call, nth })
  if (call !== dies?.call || nth !== dies.nth) return make()
  if (dies.after) await make()
  process.kill(process.pid, 'SIGKILL')
  await sleep(60_000)
  throw new Error('This process was killed and lives.')
}

const run = expand({
  volume: volumeOf(expanderWithin(fileExpander(), around), image),
  host: hostWithin(localHost(), around),
  to,
  ...(luksKey === undefined ? {} : { luksKey: async () => luksKey }),
})
for await (const event of run) tell(event)
