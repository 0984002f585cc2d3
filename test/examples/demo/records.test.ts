import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { intactRecords, makeRecord, recordSize } from '../../../examples/demo/records.ts'

let directory = ''
let path = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'records-'))
  path = join(directory, 'records')
})
afterEach(() => rm(directory, { recursive: true }))

const three = (): Buffer[] => [0, 1, 2].map(makeRecord)

test('counts what was written', async () => {
  await writeFile(path, Buffer.concat(three()))
  expect(await intactRecords(path)).toBe(3)
})

test('a record that is torn, lost, doubled or changed ends the count', async () => {
  const [first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = three()
  const changed = Buffer.from(second)
  changed[recordSize / 2] = (changed[recordSize / 2] ?? 0) ^ 1
  const cases: readonly (readonly [number, readonly Buffer[]])[] = [
    [2, [first, second, third.subarray(1)]],
    [1, [first, third]],
    [1, [first, first, second]],
    [1, [first, changed, third]],
    [0, [Buffer.alloc(recordSize), second, third]],
  ]
  for (const [expected, content] of cases) {
    await writeFile(path, Buffer.concat(content))
    expect(await intactRecords(path)).toBe(expected)
  }
})

test('an empty file has none', async () => {
  await appendFile(path, '')
  expect(await intactRecords(path)).toBe(0)
})
