import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logOf, startPart, stopPart } from './part.ts'
import { isLiving, type Part, Register, startTicksOf } from './register.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lab-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function partOf(pid: number, ports: Part['ports'] = {}): Promise<Part> {
  return { name: 'part', pid, startTicks: (await startTicksOf(pid)) ?? '', ports, directory }
}

describe('the register', () => {
  test('keeps every living part when several are added at once', async () => {
    const part = await partOf(process.pid)
    await Promise.all(Array.from({ length: 10 }, () => new Register(directory).add(part)))
    expect(await new Register(directory).living()).toHaveLength(10)
  })

  test('forgets what has ended, and a process that only has the same pid', async () => {
    const child = spawn('cat')
    const ended = await partOf(child.pid ?? 0)
    child.stdin.end()
    await once(child, 'exit')
    const register = new Register(directory)
    await register.add(ended)
    await register.add({ ...(await partOf(process.pid)), startTicks: '1' })
    expect(await register.living()).toEqual([])
  })

  test('gives no port twice', async () => {
    const register = new Register(directory)
    const first = await register.freePorts(['api', 'metrics'])
    await register.add(await partOf(process.pid, first))
    const second = await register.freePorts(['api', 'metrics'])
    expect(new Set([...Object.values(first), ...Object.values(second)]).size).toBe(4)
  })

  test('takes over the lock of a process that died with it', async () => {
    const child = spawn('true')
    await once(child, 'exit')
    await writeFile(join(directory, 'register.lock'), String(child.pid))
    expect(await new Register(directory).living()).toEqual([])
  })
})

describe('a part', () => {
  test('is registered while it runs, and ends with its children', async () => {
    const running = await startPart(
      { name: 'sleeper', prepare: async () => ({ argv: ['sh', '-c', 'sleep 60 & echo $!; wait'], env: process.env }) },
      directory,
    )
    const register = new Register(directory)
    expect(await register.living()).toEqual([running.part])
    const log = (): Promise<string> => readFile(logOf(running.part.directory), 'utf8')
    await expect.poll(log).toMatch(/^\d+\n$/)
    const child = Number(await log())
    expect(await startTicksOf(child)).toBeDefined()
    await stopPart(running.part, directory)
    await running.ended
    expect(await isLiving(running.part)).toBe(false)
    await expect.poll(() => startTicksOf(child)).toBeUndefined()
    expect(await register.living()).toEqual([])
    await stopPart(running.part, directory)
  })

  test('that cannot be started leaves nothing behind', async () => {
    const missing = startPart(
      { name: 'missing', prepare: async () => ({ argv: ['/nonexistent/program'], env: {} }) },
      directory,
    )
    await expect(missing).rejects.toThrow('ENOENT')
    expect(await new Register(directory).living()).toEqual([])
  })
})
