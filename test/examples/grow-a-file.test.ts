import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProgram } from './programs.ts'

const cwd = fileURLToPath(new URL('../../', import.meta.url))

test('without arguments it grows a volume of its own, and removes it', async () => {
  const { code, output, left } = await runProgram('examples/grow-a-file.ts', { cwd })
  expect({ code, left }, output).toEqual({ code: 0, left: [] })
  expect(output).toMatch(/^volume +64 MiB -> 1 GiB {2}file \/.+data\.img$/m)
})

test('an image without a filesystem is refused, and stays as it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'blank-'))
  try {
    const path = join(directory, 'blank.img')
    const handle = await open(path, 'wx', 0o600)
    await handle.truncate(2 ** 26).finally(() => handle.close())
    const { code, output } = await runProgram('examples/grow-a-file.ts', { cwd, args: [path, '1Gi'] })
    expect(code).not.toBe(0)
    expect(output).toContain('no-filesystem')
    expect((await stat(path)).size).toBe(2 ** 26)
  } finally {
    await rm(directory, { recursive: true })
  }
})
