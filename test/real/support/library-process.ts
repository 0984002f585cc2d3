// A program that uses the library: runs the request of its argument, and writes each event as a line of JSON.
import { expand } from '../../../src/index.ts'
import { jsonSafe } from '../../../src/json.ts'
import { requestOf } from './requests.ts'

for await (const event of expand(requestOf(JSON.parse(process.argv[2] ?? '')))) {
  process.stdout.write(`${JSON.stringify(jsonSafe(event))}\n`)
}
