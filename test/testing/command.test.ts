import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DescribeVolumesCommand, EC2Client } from '@aws-sdk/client-ec2'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

// A process of its own, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 })

const program = fileURLToPath(new URL('../../src/testing/command.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))
const running: ChildProcessWithoutNullStreams[] = []
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'volume-expander-emulator-'))
})
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(directory, { recursive: true }))

function begin(...args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, ['--import', tsx, program, ...args])
  running.push(child)
  return child
}

/** The process, once it has said where it is. */
async function started(...args: readonly string[]): Promise<{ child: ChildProcessWithoutNullStreams; url: string }> {
  const child = begin(...args)
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, url }
}

async function optionsFile(options: object): Promise<string> {
  const path = join(directory, 'options.json')
  await writeFile(path, JSON.stringify(options))
  return path
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<unknown> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode
}

describe('volume-expander-emulator', () => {
  test('ec2 says where it is, has the volumes that it was given, and ends on SIGTERM', async () => {
    const options = await optionsFile({ volumes: { 'vol-00000000000000001': { size: 12 } } })
    const { child, url } = await started('ec2', '--options', options)
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'none' }
    const client = new EC2Client({ region: 'eu-west-1', endpoint: url, credentials, maxAttempts: 1 })
    const { Volumes } = await client.send(new DescribeVolumesCommand({ VolumeIds: ['vol-00000000000000001'] }))
    expect(Volumes?.[0]?.Size).toBe(12)
    // A connection that is kept open does not hold it.
    child.kill('SIGTERM')
    expect(await ended(child)).toBe(0)
    client.destroy()
  })

  test('compute does so as well, on the port that was asked for', async () => {
    const zone = 'europe-west1-b'
    const options = await optionsFile({ disks: [{ name: 'd1', zone, sizeGb: 10 }] })
    const first = await started('compute', '--port', '0', '--options', options)
    const { port } = new URL(first.url)
    first.child.kill('SIGINT')
    expect(await ended(first.child)).toBe(0)
    const { child, url } = await started('compute', '--port', port, '--options', options)
    expect(new URL(url).port).toBe(port)
    const answer = await fetch(`${url}/compute/v1/projects/test-project/zones/${zone}/disks/d1`)
    expect(await answer.json()).toMatchObject({ name: 'd1', sizeGb: '10' })
    child.kill('SIGTERM')
    expect(await ended(child)).toBe(0)
  })

  test.each([
    [['nothing']],
    [['ec2', 'compute']],
    [['ec2', '--port', 'x']],
    [['ec2', '--unknown']],
    [['ec2', '--options', '/nowhere']],
  ])('says how it is used when it is called with %j', async (args) => {
    const child = begin(...args)
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    expect(await ended(child)).toBe(2)
    expect(said).toContain('volume-expander-emulator ec2|compute')
  })
})
