// A program that uses the library on the node: runs the request of its argument, and writes each call and each event as a line of JSON.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Around, expanderWithin, hostWithin } from '../../../../campaign/crash/calls.ts'
import { handleOf, volumeOf } from '../../../../src/expander.ts'
import { expand } from '../../../../src/index.ts'
import { jsonSafe } from '../../../../src/json.ts'
import { type NodeRequest, requestOn } from './requests.ts'

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(jsonSafe(line))}\n`)
}

const given: NodeRequest = JSON.parse(process.argv[2] ?? '')
const { dies } = given
const made = new Map<string, number>()
const around: Around = async (call, make) => {
  const nth = (made.get(call) ?? 0) + 1
  made.set(call, nth)
  tell({ type: 'call', call, nth })
  if (call !== dies?.call || nth !== dies.nth) return make()
  if (dies.when === 'before') {
    process.kill(process.pid, 'SIGKILL')
    await sleep(60_000)
    throw new Error('This process was killed and lives.')
  }
  await once(process.stdin, 'data')
  process.stdin.destroy()
  return make()
}

const { host, volume, ...request } = requestOn(given)
const { expander, ref } = handleOf(volume)
try {
  const watched = { host: hostWithin(host, around), volume: volumeOf(expanderWithin(expander, around), ref) }
  for await (const event of expand({ ...watched, ...request })) tell(event)
} finally {
  await host.close?.()
}
