import { execFile } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { link, mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileSizeLimit, localFiles, loopsIn } from '../../../providers/file/client.ts'

const run = promisify(execFile)
const nothing = (): void => {}

let directory: string

beforeAll(async () => {
  directory = await localFilesDirectory()
})

afterAll(() => rm(directory, { recursive: true, force: true }))

async function localFilesDirectory(): Promise<string> {
  return localFiles.canonical(await mkdtemp(join(tmpdir(), 'volume-expander-file-')))
}

async function sparse(name: string, size: number): Promise<string> {
  const path = join(directory, name)
  const handle = await open(path, 'w')
  await handle.truncate(size)
  await handle.close()
  return path
}

describe('canonical', () => {
  test('resolves links as far as the path exists', async () => {
    const path = await sparse('real.img', 4096)
    await mkdir(join(directory, 'inside'))
    await symlink(path, join(directory, 'link.img'))
    await symlink(join(directory, 'inside'), join(directory, 'there'))
    expect(localFiles.canonical(join(directory, 'link.img'))).toBe(path)
    expect(localFiles.canonical(`${directory}/there/../real.img`)).toBe(path)
    expect(localFiles.canonical(`${directory}/there/not/yet.img`)).toBe(join(directory, 'inside/not/yet.img'))
  })

  test('gives a circle back as it is, for the read to name it', async () => {
    const circle = join(directory, 'circle.img')
    await symlink(circle, circle)
    expect(localFiles.canonical(circle)).toBe(circle)
    await expect(localFiles.stat(circle)).rejects.toMatchObject({ code: 'ELOOP' })
  })
})

describe('extend', () => {
  test('grows, keeps every byte, and adds zeros that take no room', async () => {
    const path = join(directory, 'data.img')
    const data = Buffer.alloc(8192, 'data')
    await writeFile(path, data)
    await localFiles.extend(path, 64n * 1024n * 1024n, nothing)
    const content = await readFile(path)
    expect(content.length).toBe(64 * 1024 * 1024)
    expect(content.subarray(0, data.length).equals(data)).toBe(true)
    expect(content.subarray(data.length).every((byte) => byte === 0)).toBe(true)
    expect((await localFiles.stat(path)).allocated).toBeLessThan(1024n * 1024n)
  })

  test('looks once more right before it writes, and keeps what another program has added', async () => {
    const path = await sparse('overtaken.img', 4096)
    const result = await localFiles.extend(path, 8192n, () => {
      // Stands for another process: it has grown the file and written to its new end.
      writeAtEnd(path)
    })
    expect(result.size).toBe(16384n)
    const content = await readFile(path)
    expect(content.subarray(-4).toString()).toBe('kept')
  })

  test('leaves a file that is large enough alone', async () => {
    const path = await sparse('large.img', 1024 * 1024)
    const before = await stat(path)
    expect((await localFiles.extend(path, 4096n, nothing)).size).toBe(1024n * 1024n)
    expect((await stat(path)).mtimeMs).toBe(before.mtimeMs)
  })

  test('changes nothing when it is stopped right before', async () => {
    const path = await sparse('stopped.img', 4096)
    const stop = (): never => {
      throw new Error('stopped')
    }
    await expect(localFiles.extend(path, 8192n, stop)).rejects.toThrow('stopped')
    expect((await stat(path)).size).toBe(4096)
  })

  test('does not make a file, and does not wait for a fifo', async () => {
    await expect(localFiles.extend(join(directory, 'nowhere.img'), 4096n, nothing)).rejects.toMatchObject({
      code: 'ENOENT',
    })
    const fifo = join(directory, 'fifo')
    await run('mkfifo', ['--', fifo])
    expect((await localFiles.extend(fifo, 4096n, nothing)).type).toBe('fifo')
  })

  test('survives the limit of its process, and says what it was', async () => {
    const path = await sparse('limited.img', 4096)
    const client = fileURLToPath(new URL('../../../providers/file/expander.ts', import.meta.url))
    const script = `
      const { fileExpander } = await import(process.argv[1])
      const expander = fileExpander()
      const [state] = await expander.read([process.argv[2]], {})
      const error = await expander.expand(process.argv[2], { size: 10n ** 9n, requestId: 'one' }).catch((error) => error)
      console.log(JSON.stringify([String(state.limits[0].most), error.code, error.outcome]))`
    const limited = ['--fsize=1048576', process.execPath, '--import', 'tsx', '--input-type=module', '--eval', script]
    const { stdout } = await run('prlimit', [...limited, client, path])
    expect(JSON.parse(stdout)).toEqual(['1048576', 'limit-exceeded', 'unchanged'])
    expect((await stat(path)).size).toBe(4096)
  })
})

test('the limit of a process is read from the text of the kernel', () => {
  const line = (soft: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units\nMax file size             ${soft}            unlimited            bytes     \n`
  expect(fileSizeLimit(line('1048576'))).toBe(1048576n)
  expect(fileSizeLimit(line('unlimited'))).toBeUndefined()
  expect(fileSizeLimit('')).toBeUndefined()
})

describe('loop devices', () => {
  async function sysfs(name: string, backing: readonly (string | undefined)[]): Promise<string> {
    const root = join(directory, name)
    for (const [index, path] of backing.entries()) {
      const loop = join(root, `loop${index}`)
      await mkdir(path === undefined ? loop : join(loop, 'loop'), { recursive: true })
      if (path !== undefined) await writeFile(join(loop, 'loop/backing_file'), `${path}\n`)
    }
    await mkdir(join(root, 'sda'), { recursive: true })
    return root
  }

  test('are told apart by their file and not by its name', async () => {
    const path = await sparse('a disk\nof lines ', 4096)
    const other = join(directory, 'hard link.img')
    await link(path, other)
    const { dev, ino } = await localFiles.stat(path)
    const loops = await loopsIn(await sysfs('sys', [undefined, other, path, `${path} (deleted)`]))
    expect(loops).toEqual([
      { path: '/dev/loop1', file: { dev, ino } },
      { path: '/dev/loop2', file: { dev, ino } },
      { path: '/dev/loop3' },
    ])
  })

  test('are unknown where there is no sysfs', async () => {
    expect(await loopsIn(join(directory, 'no-sysfs'))).toBeUndefined()
  })
})

function writeAtEnd(path: string): void {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, Buffer.from('kept'), 0, 4, 16380)
  closeSync(descriptor)
}
