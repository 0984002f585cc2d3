import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type HostSetup, hostCases } from '../../src/conformance/hosts.ts'
import { ConformanceFailure } from '../../src/conformance/suite.ts'
import { VolumeExpansionError } from '../../src/errors.ts'
import type { BatchItem, BatchOptions, ExecOptions, ExecResult, Host } from '../../src/hosts/host.ts'
import { localHost } from '../../src/hosts/local/index.ts'

async function setupOf(host: Host): Promise<HostSetup> {
  const directory = await mkdtemp(join(tmpdir(), 'host-conformance-'))
  return { host, directory, dispose: () => rm(directory, { recursive: true, force: true }) }
}

describe('localHost', () => {
  for (const { name, run } of hostCases(() => setupOf(localHost()))) test.concurrent(name, run)
})

type Exec = (argv: readonly string[], options: ExecOptions) => Promise<ExecResult>
type Batch = (items: readonly BatchItem[], options: BatchOptions) => Promise<readonly unknown[]>

const sound = localHost()

/** A host that is broken in one way. */
function broken(parts: { readonly exec?: Exec; readonly batch?: Batch; readonly close?: () => Promise<void> }): Host {
  const batch: Batch = parts.batch ?? ((items, options) => oneByOne(parts.exec ?? soundExec, items, options))
  return {
    id: 'broken',
    exec: (argv, options = {}) => (parts.exec ?? soundExec)(argv, options),
    // The mutants are wrong on purpose, by value and not by type.
    batch: batch as Host['batch'],
    ...(parts.close === undefined ? {} : { close: parts.close }),
  }
}

const soundExec: Exec = (argv, options) => sound.exec(argv, options)
const soundBatch: Batch = (items, options) => sound.batch(items, options)

/** A batch whose commands go through a broken `exec`; everything else is as it should be. */
async function oneByOne(exec: Exec, items: readonly BatchItem[], options: BatchOptions): Promise<readonly unknown[]> {
  if (!items.some((item) => 'exec' in item)) return sound.batch(items, options)
  const results: unknown[] = []
  let failed = false
  for (const item of items) {
    if ('exec' in item) {
      const result: ExecResult = failed
        ? { argv: item.exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
        : await exec(item.exec, { ...item, ...options })
      failed = !result.ok
      results.push(result)
    } else {
      const [result] = await sound.batch([item], options)
      if ('expect' in item && result?.ok === false) failed = true
      results.push(result)
    }
  }
  return results
}

async function changed(result: Promise<ExecResult>, change: (result: ExecResult) => object): Promise<ExecResult> {
  const found = await result
  return { ...found, ...change(found) }
}

function without<Key extends keyof ExecOptions>(options: ExecOptions, key: Key): Omit<ExecOptions, Key> {
  const { [key]: _, ...rest } = options
  return rest
}

/** Every way of being wrong that a case is there for: the case's name and the host that it has to refuse. */
const mutants: Readonly<Record<string, Host>> = {
  'exec: a command that succeeds gives its output and its code': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ stdout }) => ({ stdout: stdout.trim(), stderr: stdout })),
  }),
  'exec: a command that fails is a result, not a rejection': broken({
    exec: async (argv, options) => {
      const result = await soundExec(argv, options)
      if (!result.ok) throw new Error('it failed')
      return result
    },
  }),
  'exec: accepted codes are ok': broken({ exec: (argv, options) => soundExec(argv, without(options, 'accept')) }),
  'exec: a command that is ended by a signal says by which': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ ended }) =>
        ended === 'signalled' ? { ended: 'exited', exitCode: 137 } : {},
      ),
  }),
  'exec: arguments arrive as they are': broken({
    exec: (argv, options) => soundExec(['sh', '-c', argv.map((argument) => `"${argument}"`).join(' ')], options),
  }),
  'exec: arguments arrive as they are in a detached command that holds a lock': broken({
    exec: (argv, options) =>
      options.lock === undefined
        ? soundExec(argv, options)
        : soundExec(
            argv.filter((argument) => argument !== ''),
            options,
          ),
  }),
  'exec: standard input is passed on, and is empty when there is none': broken({
    exec: (argv, options) => soundExec(argv, options.detached === true ? without(options, 'stdin') : options),
  }),
  'exec: the last 64 KiB of each output are kept': broken({
    exec: (argv, options) => changed(soundExec(argv, options), ({ stdout }) => ({ stdout: stdout.slice(0, 4096) })),
  }),
  'exec: the environment holds nothing of the caller': broken({
    exec: (argv, options) => soundExec(['env', 'LC_ALL=de_DE.UTF-8', 'HOME=/root', ...argv], options),
  }),
  'exec: a program that does not exist is missing': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ ended }) => (ended === 'missing' ? { ended: 'exited', exitCode: 127 } : {})),
  }),
  'exec: a file that may not be executed is refused': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ ended }) => (ended === 'refused' ? { ended: 'missing' } : {})),
  }),
  'exec: a malformed command is a TypeError': broken({
    exec: (argv, options) => soundExec(argv.length === 0 ? ['true'] : argv, options),
  }),
  'exec: a command is killed at its deadline': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ ended }) => (ended === 'killed' ? { ended: 'signalled' } : {})),
  }),
  'exec: a detached command runs on after its deadline': broken({
    exec: (argv, options) =>
      options.deadline === undefined
        ? soundExec(argv, options)
        : changed(soundExec(argv, without(options, 'detached')), () => ({ ended: 'running' })),
  }),
  'exec: a lock that is held keeps a second command from beginning': broken({
    exec: (argv, options) => soundExec(argv, without(options, 'lock')),
  }),
  'exec: one of several locks is enough to keep a command from beginning': broken({
    exec: (argv, options) =>
      soundExec(
        argv,
        options.lock === undefined ? options : { ...options, lock: [...options.lock].sort().slice(0, 1) },
      ),
  }),
  'exec: a command that exits with the code of a conflict is not locked': broken({
    exec: (argv, options) =>
      changed(soundExec(argv, options), ({ exitCode }) => (exitCode === 75 ? { ended: 'locked' } : {})),
  }),
  'exec: a lock on what is not there is refused, and creates nothing': broken({
    exec: async (argv, options) => {
      for (const path of options.lock ?? []) await soundExec(['tee', '-a', path], {})
      return soundExec(argv, options)
    },
  }),
  'exec: an aborted signal begins nothing': broken({
    exec: async (argv, options) => {
      await soundExec(argv, without(options, 'signal'))
      return soundExec(argv, options)
    },
  }),
  'exec: an abort leaves a detached command to go on with its lock': broken({
    exec: (argv, options) =>
      options.signal === undefined ? soundExec(argv, options) : soundExec(argv, without(options, 'detached')),
  }),
  'batch: gives each item its own result, in order': broken({
    batch: async (items, options) => {
      const reads = await soundBatch(
        items.filter((item) => !('exec' in item)),
        options,
      )
      const commands = await soundBatch(
        items.filter((item) => 'exec' in item),
        options,
      )
      const [read, command] = [reads.values(), commands.values()]
      return items.map((item) => ('exec' in item ? command : read).next().value)
    },
  }),
  'batch: a command that fails skips the commands after it, and no read': broken({
    batch: async (items, options) => (await Promise.all(items.map((item) => soundBatch([item], options)))).flat(),
  }),
  'batch: a command with an accepted code skips nothing': broken({
    batch: (items, options) =>
      soundBatch(
        items.map((item) => ('exec' in item ? { ...item, accept: [0] } : item)),
        options,
      ),
  }),
  'batch: a missing program skips the commands after it': broken({
    batch: async (items, options) => (await Promise.all(items.map((item) => soundBatch([item], options)))).flat(),
  }),
  'batch: an expectation that fails skips the commands after it, and says what was found': broken({
    batch: async (items, options) => (await Promise.all(items.map((item) => soundBatch([item], options)))).flat(),
  }),
  'batch: expectations compare files trimmed, ranges in hexadecimal, stats by their numbers': broken({
    batch: (items, options) =>
      soundBatch(
        items.map((item) => ('expect' in item ? { ...item, equals: item.equals.toLowerCase() } : item)),
        options,
      ),
  }),
  'batch: reads give what is there': broken({
    batch: (items, options) =>
      soundBatch(
        items.map((item) => ('read' in item && item.read === 'range' ? { ...item, offset: 0n } : item)),
        options,
      ),
  }),
  'batch: a read that fails says why by the name of its errno': broken({
    batch: async (items, options) =>
      (await soundBatch(items, options)).map((result) =>
        typeof result === 'object' && result !== null && 'errno' in result ? { ...result, errno: 'EIO' } : result,
      ),
  }),
  'batch: a storage read finds the mount of a path, and nothing where nothing is': broken({
    batch: (items, options) =>
      soundBatch(
        items.map((item) =>
          'read' in item && item.read === 'storage' && 'path' in item.at ? { ...item, at: { path: '/' } } : item,
        ),
        options,
      ),
  }),
  'batch: a storage read shows an image, its bytes and who holds a lock on it': broken({
    exec: (argv, options) => soundExec(argv, without(options, 'lock')),
  }),
  'batch: a malformed item is a TypeError before anything is done': broken({
    batch: async (items, options) => {
      const results: unknown[] = []
      for (const item of items) results.push(...(await soundBatch([item], options)))
      return results
    },
  }),
  'batch: an abort in the middle begins no further command': broken({
    batch: async (items, options) => {
      const work = soundBatch(items, {})
      await new Promise<void>((resolve) => {
        options.signal?.addEventListener('abort', () => resolve())
        work.then(() => resolve())
      })
      if (options.signal?.aborted !== true) return work
      const details = { layer: 'host', outcome: 'unknown', cause: options.signal.reason } as const
      throw new VolumeExpansionError('aborted', 'The run was aborted.', details)
    },
  }),
  'close: can be called again and again': broken({
    close: (() => {
      let closed = false
      return async () => {
        if (closed) throw new Error('it is closed')
        closed = true
      }
    })(),
  }),
}

describe('every case refuses a host that is broken where it looks', () => {
  const names = hostCases(() => setupOf(sound)).map(({ name }) => name)

  test('there is a broken host for each case', () => {
    expect(Object.keys(mutants).sort()).toEqual([...names].sort())
  })

  for (const [name, host] of Object.entries(mutants)) {
    test.concurrent(name, { timeout: 30_000 }, async () => {
      const found = hostCases(() => setupOf(host)).find((one) => one.name === name)
      await expect(found?.run()).rejects.toThrow()
    })
  }
})

test('a case fails with what it expected and what it found', async () => {
  const host = broken({ exec: (argv, options) => changed(soundExec(argv, options), () => ({ exitCode: 3 })) })
  const [first] = hostCases(() => setupOf(host))
  await expect(first?.run()).rejects.toThrow(ConformanceFailure)
  await expect(first?.run()).rejects.toThrow('expected 0, found 3')
})
