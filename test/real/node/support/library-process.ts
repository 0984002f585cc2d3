// A program that uses the library on the node: runs the request of its argument, and writes each event as a line of JSON.
import { expand } from '../../../../src/index.ts'
import { jsonSafe } from '../../../../src/json.ts'
import { requestOn } from './requests.ts'

const { host, ...request } = requestOn(JSON.parse(process.argv[2] ?? ''))
try {
  for await (const event of expand({ host, ...request })) process.stdout.write(`${JSON.stringify(jsonSafe(event))}\n`)
} finally {
  await host.close?.()
}
