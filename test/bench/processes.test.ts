import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { countedByNode } from '../../bench/growth/processes.ts'

describe('countedByNode', () => {
  test('counts each process once, however it was started', async () => {
    const count = await countedByNode(async () => {
      await once(spawn('true'), 'exit')
      await once(execFile('true'), 'exit')
    })
    expect(count).toBe(2)
  })

  test('counts nothing where nothing is started, and stops counting afterwards', async () => {
    expect(await countedByNode(async () => {})).toBe(0)
    await once(spawn('true'), 'exit')
    expect(await countedByNode(async () => {})).toBe(0)
  })
})
