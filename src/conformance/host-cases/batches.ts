import { holds, rejection } from '../suite.ts'
import { aborted, bytesOf, contents, eventually, same, touch, untilThere } from './help.ts'
import type { Body } from './setup.ts'

/** Ordered lists of reads, expectations and commands. */
export const batchCases: Readonly<Record<string, Body>> = {
  'batch: gives each item its own result, in order': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'one\n')
    const [before, write, after, size] = await host.batch([
      { read: 'file', path: file },
      { exec: ['tee', file], stdin: bytesOf('two\n') },
      { read: 'file', path: file },
      { read: 'stat', path: file },
    ])
    same(before, { ok: true, value: 'one\n' }, 'a read before a command')
    same([write.ended, write.stdout], ['exited', 'two\n'], 'the command')
    same(after, { ok: true, value: 'two\n' }, 'a read after a command')
    holds(size.ok && size.value.size === 4n, 'the last read')
    same(await host.batch([]), [], 'an empty batch')
  },

  'batch: a command that fails skips the commands after it, and no read': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'x')
    const mark = `${directory}/mark`
    const [failed, skipped, read, expected, again] = await host.batch([
      { exec: ['false'] },
      { exec: ['tee', mark] },
      { read: 'file', path: file },
      { expect: { read: 'file', path: file }, equals: 'x' },
      { exec: ['tee', mark] },
    ])
    same([failed.ended, failed.ok], ['exited', false], 'the command that fails')
    same([skipped.ended, skipped.ok], ['skipped', false], 'the command after it')
    same(read, { ok: true, value: 'x' }, 'a read after a command that fails')
    holds(expected.ok, 'an expectation after a command that fails')
    same(again.ended, 'skipped', 'a later command, also behind an expectation that holds')
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'a skipped command must not have run')
  },

  'batch: a command with an accepted code skips nothing': async ({ host }) => {
    const [first, second] = await host.batch([
      { exec: ['sh', '-c', 'exit 1'], accept: [0, 1] },
      { exec: ['printf', 'x'] },
    ])
    same([first.exitCode, first.ok], [1, true], 'a command that exits with an accepted code')
    same(second.stdout, 'x', 'the command after it')
  },

  'batch: a missing program skips the commands after it': async ({ host }) => {
    const [first, second] = await host.batch([{ exec: ['no-such-program-anywhere'] }, { exec: ['true'] }])
    same([first.ended, second.ended], ['missing', 'skipped'], 'a missing program, and the command after it')
  },

  'batch: an expectation that fails skips the commands after it, and says what was found': async ({
    host,
    directory,
  }) => {
    const file = await touch(host, `${directory}/file`, 'found\n')
    const [wrong, skipped, absent] = await host.batch([
      { expect: { read: 'file', path: file }, equals: 'wanted' },
      { exec: ['true'] },
      { expect: { read: 'file', path: `${directory}/absent` }, equals: '' },
    ])
    same(wrong, { ok: false, found: 'found' }, 'an expectation that fails')
    same(skipped.ended, 'skipped', 'the command after it')
    same(absent, { ok: false }, 'an expectation of a file that is not there')
  },

  'batch: expectations compare files trimmed, ranges in hexadecimal, stats by their numbers': async ({
    host,
    directory,
  }) => {
    const file = await touch(host, `${directory}/file`, '  AZ\n')
    const [stat] = await host.batch([{ read: 'stat', path: file }])
    holds(stat.ok, 'the file can be looked at')
    const { dev, ino, rdev } = stat.value
    const results = await host.batch([
      { expect: { read: 'file', path: file }, equals: 'AZ' },
      { expect: { read: 'range', path: file, offset: 2n, length: 3 }, equals: '415a0a' },
      { expect: { read: 'stat', path: file }, equals: `${dev}:${ino}:${rdev}` },
      { expect: { read: 'range', path: file, offset: 2n, length: 3 }, equals: '415A0A' },
      { exec: ['true'] },
    ])
    same(
      results.slice(0, 3).map((result) => result.ok),
      [true, true, true],
      'expectations that hold',
    )
    same(results[3], { ok: false, found: '415a0a' }, 'hexadecimal is in lower case')
    same(results[4].ended, 'skipped', 'a command after an expectation that fails')
  },

  'batch: reads give what is there': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'abcdef')
    const [text, range, end, beyond, stat, folder, statfs, tools] = await host.batch([
      { read: 'file', path: file },
      { read: 'range', path: file, offset: 2n, length: 3 },
      { read: 'range', path: file, offset: 4n, length: 100 },
      { read: 'range', path: file, offset: 1n << 40n, length: 4 },
      { read: 'stat', path: file },
      { read: 'stat', path: directory },
      { read: 'statfs', path: directory },
      { read: 'tools', names: ['sh', 'no-such-program-anywhere'] },
    ])
    same(text, { ok: true, value: 'abcdef' }, 'the text of a file')
    for (const [result, expected] of [
      [range, 'cde'],
      [end, 'ef'],
      [beyond, ''],
    ] as const) {
      holds(result.ok && Buffer.from(result.value).toString('latin1') === expected, `the range ${expected}`)
    }
    holds(stat.ok && stat.value.type === 'file' && stat.value.size === 6n, 'the type and size of a file')
    holds(/^\d+:\d+$/.test(stat.value.dev) && stat.value.ino > 0n, 'the identity of a file')
    holds(stat.value.realpath.endsWith('/file'), 'the real path of a file')
    holds(folder.ok && folder.value.type === 'directory', 'the type of a directory')
    holds(statfs.ok && statfs.value.blocks > 0n && statfs.value.blockSize > 0n, 'the sizes of a filesystem')
    holds(tools.ok && tools.value['sh']?.startsWith('/') === true, 'the path of a program that exists')
    same(tools.value['no-such-program-anywhere'], undefined, 'a program that does not exist')
  },

  'batch: a read that fails says why by the name of its errno': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'x')
    const results = await host.batch([
      { read: 'file', path: `${directory}/absent` },
      { read: 'range', path: `${directory}/absent`, offset: 0n, length: 1 },
      { read: 'stat', path: `${directory}/absent` },
      { read: 'statfs', path: `${directory}/absent` },
      { read: 'file', path: `${file}/below` },
      { read: 'file', path: directory },
    ])
    const names = results.map((result) => (result.ok ? 'ok' : result.errno))
    same(names, ['ENOENT', 'ENOENT', 'ENOENT', 'ENOENT', 'ENOTDIR', 'EISDIR'], 'the names of the failures')
  },

  'batch: a storage read finds the mount of a path, and nothing where nothing is': async ({ host, directory }) => {
    const [there, absent, odd] = await host.batch([
      { read: 'storage', at: { path: directory } },
      { read: 'storage', at: { path: `${directory}/absent` } },
      { read: 'storage', at: { device: directory } },
    ])
    holds(there.ok && there.value.mount?.mountPoint.startsWith('/') === true, 'the mount that the directory is on')
    holds(there.value.system.kernel !== '' && there.value.system.pageSize >= 4096, 'what the host runs on')
    holds(absent.ok && absent.value.found.length === 0, 'a path that does not exist is not found')
    holds(odd.ok && odd.value.found.length === 0, 'a directory is not a device')
  },

  'batch: a storage read shows an image, its bytes and who holds a lock on it': async ({ host, directory }) => {
    const image = await touch(host, `${directory}/image`, `head${'.'.repeat(1020)}`)
    const go = `${directory}/go`
    const run = host.exec(['sh', '-c', untilThere, 'sh', go], { detached: true, lock: [image] })
    const read = async () => {
      const [result] = await host.batch([{ read: 'storage', at: { image } }])
      holds(result.ok && result.value.found.length === 1, 'the image is found')
      const device = result.value.devices.find(({ id }) => id === result.value.found[0])
      holds(device !== undefined && device.kind === 'image', 'the image is a device of its own kind')
      return device
    }
    await eventually(async () => (await read()).locks.length > 0, 'a lock that is held has to be seen')
    const device = await read()
    same(device.size, 1024n, 'the size of the image')
    const start = device.probe.ok ? device.probe.value.find(({ offset }) => offset === 0n) : undefined
    same(Buffer.from(start?.bytes.subarray(0, 4) ?? []).toString('latin1'), 'head', 'the first bytes of the image')
    holds((device.locks[0]?.pid ?? 0) > 0, 'the process that holds the lock')
    await touch(host, go)
    await run
    same((await read()).locks, [], 'the locks after the command has ended')
  },

  'batch: a malformed item is a TypeError before anything is done': async ({ host, directory }) => {
    const mark = `${directory}/mark`
    const wrong = [
      { read: 'file', path: 'relative' },
      { read: 'range', path: '/x', offset: -1n, length: 1 },
      { read: 'range', path: '/x', offset: 0n, length: -1 },
      { exec: [] },
    ] as const
    for (const item of wrong) {
      const error = await rejection(
        (async () => host.batch([{ exec: ['tee', mark] }, item]))(),
        `the item ${Object.keys(item).join()} has to be refused`,
      )
      holds(error instanceof TypeError, 'a malformed item is a TypeError')
    }
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'a batch with a malformed item must not have run')
  },

  'batch: an abort in the middle begins no further command': async ({ host, directory }) => {
    const [begun, mark] = [`${directory}/begun`, `${directory}/mark`]
    const controller = new AbortController()
    const script = 'echo yes > "$1"; sleep 0.7'
    const items = [{ exec: ['sh', '-c', script, 'sh', begun], detached: true }, { exec: ['tee', mark] }] as const
    const refused = aborted(host.batch(items, { signal: controller.signal }), 'unknown')
    await eventually(async () => (await contents(host, begun)) === 'yes\n', 'the first command has to begin')
    controller.abort(new Error('stop'))
    await refused
    await host.exec(['sleep', '1'])
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'the second command must not have run')
  },
}
