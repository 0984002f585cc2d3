// A program with data to lose: appends records of 512 bytes, each with its number and a checksum, and tells of a record only once fsync has returned.
import { fsyncSync, openSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { recordOf } from './records.ts'

const fd = openSync(process.argv[2] ?? '', 'wx')
let ended = false
process.stdin.on('end', () => {
  ended = true
})
process.stdin.resume()
for (let number = 0; !ended; number += 1) {
  writeSync(fd, recordOf(number))
  fsyncSync(fd)
  process.stdout.write(`${number + 1}\n`)
  await setImmediate()
}
