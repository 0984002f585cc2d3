import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { damagedFiles, dataDirectory, writeData } from '../../../examples/demo/data.ts'

let root = ''
const never = new AbortController().signal

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'data-'))
})
afterEach(() => rm(root, { recursive: true }))

const inData = (name: string): string => join(root, dataDirectory, name)

test('every kind of damage is found, and nothing else', async () => {
  const told: number[] = []
  const checksums = await writeData(root, 4, never, (written) => told.push(written))
  expect(told).toEqual([1, 2, 3, 4])
  expect(await damagedFiles(root, checksums)).toEqual([])

  const changed = await open(inData('file-01'), 'r+')
  await changed.write(Buffer.from('damage'), 0, 6, 1_000_000).finally(() => changed.close())
  await truncate(inData('file-02'), 4_194_303)
  await rm(inData('file-03'))
  expect(await damagedFiles(root, checksums)).toEqual(['file-01', 'file-02', 'file-03'])
})

test('an abort ends the writing', async () => {
  const stop = new AbortController()
  const writing = writeData(root, 100, stop.signal, () => stop.abort())
  await expect(writing).rejects.toThrow(/abort/)
})
