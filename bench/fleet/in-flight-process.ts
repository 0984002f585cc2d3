import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { ebs } from '../../providers/ebs/index.ts'
import { expand, expandMany } from '../../src/index.ts'
import { OwnLoopDelay } from './loop-delay.ts'
import { idOf } from './run.ts'

const count = Number(process.argv[2])
const endpoint = process.argv[3] ?? ''
const perSecond = Number(process.argv[4])

function heap(): number {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const provider = ebs({
  ...{ region: 'eu-west-1', endpoint, credentials: { accessKeyId: 'AKIAOURS', secretAccessKey: 'none' } },
  // Faster than any account may: what is measured is the process and not EC2's limits.
  pace: { read: { burst: 10, perSecond: 10 }, expand: { burst: 10, perSecond } },
})
// Everything that is loaded with the first call is the idle process's.
await expand({ volume: provider.volume(idOf(0)), to: '10Gi' })
await sleep(500)
const idle = heap()
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const own = new OwnLoopDelay()
own.start()
const before = process.cpuUsage()
const requests = Array.from({ length: count }, (_, index) => ({ volume: provider.volume(idOf(index)), to: '20Gi' }))
const run = expandMany(requests, { concurrency: count })
let begun = 0
let inFlight = 0
for await (const { event } of run) {
  if (event.type === 'progress' && event.native?.includes('modifying') === true) begun += 1
  if (begun < count || inFlight > 0) continue
  // The collection that makes the figure true is no delay of the library's.
  delay.disable()
  own.stop()
  inFlight = heap()
  delay.enable()
  own.start()
}
delay.disable()
own.close()
const { user, system } = process.cpuUsage(before)
const report = await run
process.send?.({
  count,
  succeeded: report.succeeded,
  bytesEach: (inFlight - idle) / count,
  delayP99: (delay.percentile(99) - 5e6) / 1e6,
  ownDelayP99: own.percentile(99),
  delayMost: (delay.max - 5e6) / 1e6,
  cpuEach: (user + system) / 1000 / count,
})
process.disconnect?.()
