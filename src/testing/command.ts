#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

// The program `volume-expander-emulator`, for tests in any language: what src/testing/ec2 and src/testing/compute start in process.
const usage = `volume-expander-emulator ec2|compute [options]
  --port NUMBER    of 127.0.0.1; left out or 0: a free one
  --options FILE   JSON with the options of startEc2() or startCompute(), such as
                   {"volumes": {"vol-0123456789abcdef0": {"size": 10}}, "modifying": 2000, "throttles": {}}
                   {"disks": [{"name": "d1", "zone": "europe-west1-b", "sizeGb": 10}], "operationTime": 2000}
Prints its URL on a line of its own once it answers, and ends on SIGTERM, SIGINT or SIGHUP. What it is told goes no further than the loopback address.
`

interface Started {
  readonly url: string
  stop(): Promise<void>
}

type Start = (options: Readonly<Record<string, unknown>>) => Promise<Started>

const services: Readonly<Record<string, () => Promise<Start>>> = {
  ec2: async () => (await import('./ec2/index.ts')).startEc2,
  compute: async () => (await import('./compute/index.ts')).startCompute,
}

/** What was asked for is wrong, and the usage says how it is right. */
class Misuse extends Error {}

async function optionsOf(path: string | undefined): Promise<Readonly<Record<string, unknown>>> {
  if (path === undefined) return {}
  let options: unknown
  try {
    options = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new Misuse(`${path} cannot be read as JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Misuse(`${path} holds no object.`)
  }
  return options as Readonly<Record<string, unknown>>
}

function portOf(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port < 65_536) return port
  throw new Misuse(`--port is a number from 0 to 65535, not ${text}.`)
}

function parsed(): ReturnType<typeof parse> {
  try {
    return parse()
  } catch (cause) {
    throw new Misuse(cause instanceof Error ? cause.message : String(cause))
  }
}

function parse(): {
  readonly values: { readonly port: string; readonly options?: string; readonly help: boolean }
  readonly positionals: readonly string[]
} {
  return parseArgs({
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '0' },
      options: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
}

async function main(): Promise<void> {
  const { values, positionals } = parsed()
  if (values.help) return void process.stdout.write(usage)
  const [name = '', ...others] = positionals
  const load = Object.hasOwn(services, name) && others.length === 0 ? services[name] : undefined
  if (load === undefined) throw new Misuse('Which emulator: ec2 or compute?')
  const port = portOf(values.port)
  const [start, options] = await Promise.all([load(), optionsOf(values.options)])
  const emulator = await start({ ...options, port })
  // A server that was told not to hold its process is not alone what this process is for.
  const alive = setInterval(() => {}, 2 ** 30)
  const end = (): void => {
    clearInterval(alive)
    void emulator.stop()
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, end)
  process.stdout.write(`${emulator.url}\n`)
}

main().catch((error: unknown) => {
  const isMisuse = error instanceof Misuse
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${isMisuse ? usage : ''}`)
  process.exitCode = isMisuse ? 2 : 1
})
