// Appends 4 KiB and syncs, without a pause, until its standard input ends; then writes how long each round took, as [from, to] in milliseconds of the
// monotonic clock that all processes share. Argument: the file to append to.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { sharedClock } from './clock.ts'

const warmUp = 50
const [path = ''] = process.argv.slice(2)
const block = Buffer.alloc(4096, 'volume-expander ')
const intervals: [number, number][] = []
let ended = false
process.stdin.on('end', () => {
  ended = true
})
process.stdin.resume()

const fd = openSync(path, 'a')
while (!ended) {
  const from = sharedClock()
  writeSync(fd, block)
  fsyncSync(fd)
  intervals.push([from, sharedClock()])
  if (intervals.length === warmUp) process.stdout.write('ready\n')
  await setImmediate()
}
closeSync(fd)
process.stdout.write(`${JSON.stringify(intervals)}\n`)
