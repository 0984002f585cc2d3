import { createHash, randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

/** Files by name, with the SHA-256 of what was written to them. */
export type Content = ReadonlyMap<string, string>

/** Writes files of several sizes, among them an empty one and some in a deep directory. */
export function writeContent(directory: string): Content {
  const deep = 'a/deep/directory'
  fs.mkdirSync(join(directory, deep), { recursive: true })
  const content = new Map<string, string>()
  for (const [name, size] of [
    ['empty', 0],
    ['small', 11],
    ['one block', 4096],
    [`${deep}/some blocks`, 100_001],
    ['larger', 1_500_000],
  ] as const) {
    const bytes = randomBytes(size)
    const fd = fs.openSync(join(directory, name), 'w')
    fs.writeSync(fd, bytes)
    fs.fsyncSync(fd)
    fs.closeSync(fd)
    content.set(name, sumOf(bytes))
  }
  return content
}

export function expectContent(directory: string, content: Content): void {
  const found = [...content.keys()].map((name) => [name, sumOf(fs.readFileSync(join(directory, name)))] as const)
  expect(new Map(found)).toEqual(content)
}

/** Writes until there is no room for another byte. */
export function fillUp(directory: string): void {
  for (const size of [1_048_576, 4096, 1]) {
    try {
      const bytes = Buffer.alloc(size, 'full')
      const fd = fs.openSync(join(directory, `filler-${size}`), 'w')
      try {
        while (fs.writeSync(fd, bytes) === size);
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    }
  }
  expect(fs.statfsSync(directory).bavail).toBeLessThan(64)
}
function sumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
