import { Worker } from 'node:worker_threads'

const patience = 120_000
const nameLength = 100

/** Ends the process when one case takes minutes: a loop without end leaves nobody else to say so. */
export class Watchdog {
  readonly #shared: SharedArrayBuffer = new SharedArrayBuffer(8 + nameLength)
  readonly #worker: Worker

  constructor() {
    this.#worker = new Worker(source, { eval: true, workerData: { shared: this.#shared, patience } })
    this.#worker.unref()
  }

  /** A case begins. */
  feed(target: string, number: number): void {
    const name = new Uint8Array(this.#shared, 8)
    name.fill(0)
    name.set(Buffer.from(`${target} --case ${number}`).subarray(0, nameLength))
    Atomics.add(new Int32Array(this.#shared, 0, 1), 0, 1)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}

const source = `
const { workerData: { shared, patience } } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const count = new Int32Array(shared, 0, 1)
let [last, since] = [-1, Date.now()]
setInterval(() => {
  const now = Atomics.load(count, 0)
  if (now !== last) [last, since] = [now, Date.now()]
  else if (Date.now() - since > patience) {
    const name = Buffer.from(new Uint8Array(shared, 8).slice()).toString().replace(/\\0+$/, '')
    writeSync(2, 'A case does not end: --target ' + name + '\\n')
    process.kill(process.pid, 'SIGKILL')
  }
}, 1000)
`
