// Measures growths over SSH to this very machine. Argument: an SshRunnerSpec as a JSON file.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Link, startLink } from '../../test/lab/link.ts'
import { type SshServer, startSshd } from '../../test/lab/sshd.ts'
import { ScratchVolume } from '../growth/volume.ts'
import type { SshLinkResult, SshRunnerOutput, SshRunnerSpec, SshSample, WayName } from './cases.ts'
import { waysOver } from './ways.ts'

/** Milliseconds of rest before each measurement: connections of the one before have ended by then. */
const rest = 50

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
}

function countsOf(server: SshServer, { connections, sent, received }: Link): Omit<SshSample, 'milliseconds'> {
  // The server itself says it, of whatever client.
  const sessions = server.log().match(/^Starting session: /gm)?.length ?? 0
  return { connections, sessions, sent, received }
}

/** All ways in turn, round by round, each round beginning with another one. */
async function measure(
  server: SshServer,
  volume: ScratchVolume,
  directory: string,
  { latency, rounds }: SshRunnerSpec['links'][number],
): Promise<SshLinkResult> {
  const link = await startLink(server.port, latency / 2)
  const knownHosts = join(directory, `known_hosts-${latency}`)
  writeFileSync(knownHosts, readFileSync(server.knownHosts, 'utf8').replaceAll(`:${server.port} `, `:${link.port} `))
  const identity = join(server.directory, 'client')
  const ways = await waysOver({ port: link.port, identity, knownHosts, directory })
  const samples: Record<WayName, SshSample[]> = { ours: [], oursCold: [], script: [], steps: [], connections: [] }
  try {
    // The first round is not counted: what was interpreted at first is compiled then, and what was read is in the page cache.
    for (let round = -1; round < rounds; round += 1) {
      const first = (round + 1) % ways.length
      for (const way of [...ways.slice(first), ...ways.slice(0, first)]) {
        interruption.signal.throwIfAborted()
        volume.remake()
        await sleep(rest + latency)
        const before = countsOf(server, link)
        const began = performance.now()
        await way.grow(volume)
        const milliseconds = performance.now() - began
        volume.requireGrown()
        await sleep(rest + latency)
        const after = countsOf(server, link)
        if (round < 0) continue
        samples[way.name].push({
          milliseconds,
          connections: after.connections - before.connections,
          sessions: after.sessions - before.sessions,
          ...{ sent: after.sent - before.sent, received: after.received - before.received },
        })
      }
    }
    return { latency, samples }
  } finally {
    for (const way of ways) await way.close()
    await link.close()
  }
}

async function main(specPath: string): Promise<void> {
  const spec: SshRunnerSpec = JSON.parse(readFileSync(specPath, 'utf8'))
  const directory = mkdtempSync(join(spec.scratch ?? tmpdir(), 'volume-expander-bench-'))
  const server = await startSshd({ config: ['LogLevel VERBOSE'] })
  const volume = new ScratchVolume(directory, {
    ...{ filesystem: 'xfs', online: true, from: 1, to: 2 },
    rounds: { growth: 0, nothingToDo: 0, stall: 0, cold: 0 },
  })
  try {
    const links: SshLinkResult[] = []
    for (const link of spec.links) {
      console.error(`  with ${link.latency} ms added to a round trip …`)
      links.push(await measure(server, volume, directory, link))
    }
    const { stderr } = await promisify(execFile)('ssh', ['-V'])
    const output: SshRunnerOutput = { kernel: release(), client: stderr.trim(), links }
    writeFileSync(spec.output, JSON.stringify(output))
  } finally {
    volume.dispose()
    await server.stop()
    rmSync(directory, { recursive: true })
  }
}

await main(process.argv[2] ?? '')
