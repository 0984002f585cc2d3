import { describe, expect, test } from 'vitest'
import { type BatchExecutor, runBatch } from '../../src/hosts/batch.ts'
import type { BatchItem, ExecResult, ReadResult } from '../../src/hosts/host.ts'

function scripted(reads: Readonly<Record<string, ReadResult<unknown>>>, codes: Readonly<Record<string, number>> = {}) {
  const done: string[] = []
  const executor: BatchExecutor = {
    async read(item) {
      const path = 'path' in item ? item.path : item.read
      done.push(path)
      return reads[path] ?? { ok: false, errno: 'ENOENT', message: 'absent' }
    },
    async execute(item) {
      const name = item.exec[0] ?? ''
      done.push(name)
      const exitCode = codes[name] ?? 0
      const result = { argv: item.exec, ended: 'exited', exitCode, stdout: '', stderr: '', milliseconds: 1 } as const
      return { ...result, ok: (item.accept ?? [0]).includes(exitCode) }
    },
  }
  return { done, executor }
}

describe('runBatch', () => {
  test('does the items in order and skips commands after a failure', async () => {
    const { done, executor } = scripted({ '/a': { ok: true, value: ' text\n' } }, { bad: 2 })
    const results = await runBatch(
      [
        { exec: ['good'] },
        { expect: { read: 'file', path: '/a' }, equals: 'text' },
        { exec: ['bad'] },
        { exec: ['never'] },
        { read: 'file', path: '/a' },
      ],
      {},
      executor,
    )
    expect(done).toEqual(['good', '/a', 'bad', '/a'])
    expect(results.map((result) => result.ok)).toEqual([true, true, false, false, true])
    expect((results[3] as ExecResult).ended).toBe('skipped')
  })

  test('checks all of the items before it does the first', async () => {
    const { done, executor } = scripted({})
    const wrong: readonly BatchItem[] = [{ exec: ['good'] }, { read: 'file', path: 'relative' }]
    await expect(runBatch(wrong, {}, executor)).rejects.toThrow(TypeError)
    expect(done).toEqual([])
  })

  test.each<BatchItem>([
    { read: 'range', path: '/x', offset: 0n, length: 2 ** 40 },
    { read: 'tools', names: ['../x'] },
    { read: 'storage', at: { device: 'sda' } },
    { read: 'storage', at: { image: 'x' } },
    { read: 'storage', at: { hints: { path: 'x' } } },
    { read: 'storage', at: { hints: { byId: ['../../sda'] } } },
    { read: 'storage', at: { hints: { attributes: { '../size': '1' } } } },
    { read: 'storage', at: { hints: { attributes: { 'device/pool': 'a\nb' } } } },
    { exec: ['x'], deadline: -1 },
    { exec: ['x'], stdin: 'text' as unknown as Uint8Array },
    { read: 'nonsense' } as unknown as BatchItem,
  ])('refuses the item %#', async (item) => {
    await expect(runBatch([item], {}, scripted({}).executor)).rejects.toThrow(TypeError)
  })

  test('an abort does not wait for a read that hangs, and says that nothing was changed', async () => {
    const controller = new AbortController()
    const executor: BatchExecutor = { ...scripted({}).executor, read: () => new Promise(() => undefined) }
    const run = runBatch([{ read: 'file', path: '/a' }, { exec: ['x'] }], { signal: controller.signal }, executor)
    controller.abort(new Error('stop'))
    await expect(run).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
  })

  test('an abort after a command has begun leaves the outcome unknown and begins no other', async () => {
    const controller = new AbortController()
    const { done, executor } = scripted({})
    const slow: BatchExecutor = {
      ...executor,
      async execute(item, signal) {
        controller.abort()
        return executor.execute(item, signal)
      },
    }
    const run = runBatch([{ exec: ['one'] }, { exec: ['two'] }], { signal: controller.signal }, slow)
    await expect(run).rejects.toMatchObject({ code: 'aborted', outcome: 'unknown' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(done).toEqual(['one'])
  })
})
