// A program that uses the library on the node: runs the request of its argument, and writes each event as a line of JSON.
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { BatchItem, Host } from '../../../../src/hosts/host.ts'
import { expand } from '../../../../src/index.ts'
import { jsonSafe } from '../../../../src/json.ts'
import { type Death, type NodeRequest, requestOn } from './requests.ts'

/** The host, up to a round trip at which this process dies as if somebody had killed it. */
function mortal(host: Host, { at, after }: Death): Host {
  let trips = 0
  const die = async (): Promise<never> => {
    // What has happened is told before.
    await setImmediate()
    process.kill(process.pid, 'SIGKILL')
    return sleep(60_000).then(() => process.exit(1))
  }
  const batch: Host['batch'] = async <const Items extends readonly BatchItem[]>(
    items: Items,
    options?: Parameters<Host['batch']>[1],
  ) => {
    trips += 1
    if (trips <= at) return host.batch(items, options)
    if (after === undefined) return die()
    const answered = host.batch(items, options)
    answered.catch(() => undefined)
    await sleep(after)
    return die()
  }
  return { ...host, batch }
}

const given: NodeRequest = JSON.parse(process.argv[2] ?? '')
const { host, ...request } = requestOn(given)
const used = given.dies === undefined ? host : mortal(host, given.dies)
try {
  for await (const event of expand({ host: used, ...request })) {
    process.stdout.write(`${JSON.stringify(jsonSafe(event))}\n`)
  }
} finally {
  await host.close?.()
}
