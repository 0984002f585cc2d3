import { describe, expect, test } from 'vitest'
import type { Extension, FileClient, FileFacts, LoopFacts } from '../../../providers/file/client.ts'
import { fileExpander } from '../../../providers/file/expander.ts'
import { file } from '../../../providers/file/index.ts'
import { handleOf, type VolumeState } from '../../../src/expander.ts'
import { type Bytes, bytes, GiB, MiB, TiB } from '../../../src/size.ts'

const ext4 = { type: 0xef53n, blockSize: 4096n, available: 10n * GiB }
const facts: FileFacts = { type: 'file', dev: 8n, ino: 77n, size: MiB, allocated: 0n }

function client(details: Partial<FileClient> = {}): FileClient {
  return {
    canonical: (path) => path,
    stat: async () => facts,
    filesystem: async () => ext4,
    loops: async () => [],
    processLimit: async () => undefined,
    extend: async (_path, size) => ({ type: 'file', size }),
    ...details,
  }
}

async function stateFrom(details: Partial<FileClient>): Promise<VolumeState> {
  const [outcome] = await fileExpander(client(details)).read(['/srv/disk.img'], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

function expand(details: Partial<FileClient>, size: bigint, signal?: AbortSignal): Promise<void> {
  const options = { size: size as Bytes, options: undefined, requestId: 'one' }
  return fileExpander(client(details)).expand('/srv/disk.img', signal === undefined ? options : { ...options, signal })
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code })

describe('refs', () => {
  test('a relative path is refused with what to do', () => {
    expect(() => file().volume('disk.img')).toThrowError(expect.objectContaining({ code: 'invalid-reference' }))
    expect(() => file().volume('disk.img')).toThrow(/another file in every working directory/)
  })

  test('a volume shows its path, and takes it as it is', () => {
    const volume = file().volume('/srv/-- $(reboot) "x".img')
    expect(volume).toMatchObject({ provider: 'file', label: '/srv/-- $(reboot) "x".img' })
    expect(handleOf(volume).ref).toBe('/srv/-- $(reboot) "x".img')
  })

  test('the image that a host looks for is the canonical path', async () => {
    const expander = fileExpander(client({ canonical: () => '/mnt/real.img' }))
    expect(expander.normalize('/srv/link.img')).toEqual({
      scope: 'localhost',
      key: '/mnt/real.img',
      label: '/srv/link.img',
    })
    const [state] = await expander.read(['/srv/link.img'], {})
    if (state === undefined || state instanceof Error) throw state
    expect(expander.identify('/srv/link.img', state)).toEqual({ image: '/mnt/real.img', host: 'local' })
  })
})

describe('who has the file', () => {
  const loop = (path: string, ino?: bigint): LoopFacts =>
    ino === undefined ? { path } : { path, file: { dev: 8n, ino } }

  test('the loop devices over it, and not those over others', async () => {
    const { users } = await stateFrom({ loops: async () => [loop('/dev/loop0', 1n), loop('/dev/loop3', 77n)] })
    expect(users).toEqual([{ kind: 'loop', description: '/dev/loop3', isDevice: true }])
  })

  test('nobody, when no loop device has it', async () => {
    expect((await stateFrom({})).users).toEqual([])
  })

  test.each<[string, Partial<FileClient>]>([
    ['loop devices cannot be listed', { loops: async () => undefined }],
    ['a loop device has a file that cannot be found', { loops: async () => [loop('/dev/loop0')] }],
    ['the filesystem is shared with other machines', { filesystem: async () => ({ ...ext4, type: 0x6969n }) }],
  ])('unknown, when %s', async (_, details) => {
    expect(await stateFrom(details)).not.toHaveProperty('users')
  })
})

describe('limits', () => {
  test('the largest file of ext4 follows from its block size', async () => {
    const { limits } = await stateFrom({})
    expect(limits).toEqual([{ what: 'size', most: 16n * TiB - 4096n, source: expect.stringContaining('ext4') }])
    const small = await stateFrom({ filesystem: async () => ({ ...ext4, blockSize: 1024n }) })
    expect(small.limits?.[0]?.most).toBe(4n * TiB - 1024n)
  })

  test('elsewhere the largest offset of the runtime', async () => {
    const { limits } = await stateFrom({ filesystem: async () => ({ ...ext4, type: 0x58465342n }) })
    expect(limits?.[0]?.most).toBe(2n ** 53n - 1n)
  })

  test("the process's own limit, when it is lower", async () => {
    const { limits } = await stateFrom({ processLimit: async () => 5n * GiB })
    expect(limits).toEqual([{ what: 'size', most: 5n * GiB, source: expect.stringContaining('ulimit -f') }])
  })

  test('free space is a promise and never a limit', async () => {
    const state = await stateFrom({ stat: async () => ({ ...facts, size: 50n * GiB, allocated: GiB }) })
    expect(state.backed).toBe(bytes(11n * GiB))
    expect(state.limits?.map(({ what }) => what)).toEqual(['size'])
    const huge = await stateFrom({ filesystem: async () => ({ ...ext4, available: 2n ** 64n }) })
    expect(huge.backed).toBe(2n ** 63n - 1n)
  })
})

describe('expand', () => {
  const untouched = async (): Promise<Extension> => {
    throw new TypeError('The file must not be opened.')
  }

  test('opens nothing when the file is large enough', async () => {
    await expand({ extend: untouched }, MiB)
    await expand({ extend: untouched }, 4096n)
  })

  test.each(['directory', 'block device', 'fifo', 'socket'] as const)('never opens a %s', async (type) => {
    const stat = async (): Promise<FileFacts> => ({ ...facts, type })
    await expect(expand({ stat, extend: untouched }, GiB)).rejects.toMatchObject({
      code: 'invalid-reference',
      outcome: 'unchanged',
    })
    await expect(stateFrom({ stat })).rejects.toMatchObject({ code: 'invalid-reference' })
  })

  test('refuses what became another thing between looking and opening', async () => {
    const extend = async (): Promise<Extension> => ({ type: 'fifo', size: 0n })
    await expect(expand({ extend }, GiB)).rejects.toMatchObject({ code: 'invalid-reference', outcome: 'unchanged' })
  })

  test('looks at the signal once more right before the change', async () => {
    const abort = new AbortController()
    const extend: FileClient['extend'] = async (_path, size, before) => {
      abort.abort(new Error('no longer wanted'))
      before()
      return { type: 'file', size }
    }
    await expect(expand({ extend }, GiB, abort.signal)).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
  })

  test.each([
    ['EFBIG', 'limit-exceeded'],
    ['ENOSPC', 'pool-full'],
    ['EDQUOT', 'quota-exceeded'],
    ['EROFS', 'read-only'],
  ])('%s leaves the file as it was', async (errno, code) => {
    const extend = async (): Promise<Extension> => {
      throw systemError(errno)
    }
    await expect(expand({ extend }, GiB)).rejects.toMatchObject({ code, outcome: 'unchanged' })
  })

  test('a failure after the change leaves the outcome unknown', async () => {
    const extend = async (): Promise<Extension> => ({ type: 'file', size: GiB, unsure: systemError('EIO') })
    await expect(expand({ extend }, GiB)).rejects.toMatchObject({ code: 'backend-unreachable', outcome: 'unknown' })
  })

  test('believes the size, not the call', async () => {
    const extend = async (): Promise<Extension> => ({ type: 'file', size: MiB })
    await expect(expand({ extend }, GiB)).rejects.toMatchObject({ code: 'backend-failed', outcome: 'unknown' })
  })

  test('refuses sizes that a file offset cannot name, and what is no size', async () => {
    await expect(expand({ extend: untouched }, 2n ** 53n)).rejects.toMatchObject({ code: 'limit-exceeded' })
    await expect(expand({ extend: untouched }, 0n)).rejects.toMatchObject({ code: 'invalid-size' })
    await expect(expand({ extend: untouched }, -1n)).rejects.toMatchObject({ code: 'invalid-size' })
  })
})
