import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HostSetup, hostCases } from '../../../src/conformance/index.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import { checkItem } from '../../../src/hosts/batch.ts'
import type { BatchItem, BatchOptions, ExecOptions, ExecResult, Host } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import type { Suite } from './mutant.ts'

interface BrokenHost {
  readonly does: string
  readonly killedBy: string
  readonly make: () => Host
}

/** The host with a directory of its own for each case. */
export async function hostSetup(host: Host): Promise<HostSetup> {
  const directory = await mkdtemp(join(tmpdir(), 'host-conformance-'))
  return { host, directory, dispose: () => rm(directory, { recursive: true, force: true }) }
}

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
    batch: ((items: readonly BatchItem[], options: BatchOptions = {}) => batch(items, options)) as Host['batch'],
    ...(parts.close === undefined ? {} : { close: parts.close }),
  }
}

const soundExec: Exec = (argv, options) => sound.exec(argv, options)
const soundBatch: Batch = (items, options) => sound.batch(items, options)

/** A batch whose commands go through a broken `exec`; everything else is as it should be. */
async function oneByOne(
  exec: Exec,
  items: readonly BatchItem[],
  options: BatchOptions,
  stops: (item: BatchItem, result: { readonly ok: boolean; readonly ended?: string }) => boolean = (_, { ok }) => !ok,
): Promise<readonly unknown[]> {
  for (const item of items) checkItem(item)
  if (!items.some((item) => 'exec' in item)) return sound.batch(items, options)
  const results: unknown[] = []
  let failed = false
  for (const item of items) {
    if ('exec' in item) {
      const result: ExecResult = failed
        ? { argv: item.exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
        : await exec(item.exec, { ...item, ...options })
      failed ||= stops(item, result)
      results.push(result)
    } else {
      const [result] = await sound.batch([item], options)
      if ('expect' in item && result !== undefined) failed ||= stops(item, result)
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

const mutants: readonly BrokenHost[] = [
  {
    does: 'trims the output and mixes it with the error output',
    killedBy: 'exec: a command that succeeds gives its output and its code',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ stdout }) => ({ stdout: stdout.trim(), stderr: stdout })),
      }),
  },
  {
    does: 'rejects when a command fails',
    killedBy: 'exec: a command that fails is a result, not a rejection',
    make: () =>
      broken({
        exec: async (argv, options) => {
          const result = await soundExec(argv, options)
          if (!result.ok) throw new Error('it failed')
          return result
        },
      }),
  },
  {
    does: 'does not know accepted codes',
    killedBy: 'exec: accepted codes are ok',
    make: () => broken({ exec: (argv, options) => soundExec(argv, without(options, 'accept')) }),
  },
  {
    does: 'takes the end by a signal for an exit code',
    killedBy: 'exec: a command that is ended by a signal says by which',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ ended }) =>
            ended === 'signalled' ? { ended: 'exited', exitCode: 137 } : {},
          ),
      }),
  },
  {
    does: 'quotes badly: with double quotes for a shell',
    killedBy: 'exec: arguments arrive as they are',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(['sh', '-c', argv.map((argument) => `"${argument}"`).join(' ')], options),
      }),
  },
  {
    does: 'drops empty arguments below a lock',
    killedBy: 'exec: arguments arrive as they are in a detached command that holds a lock',
    make: () =>
      broken({
        exec: (argv, options) =>
          options.lock === undefined
            ? soundExec(argv, options)
            : soundExec(
                argv.filter((argument) => argument !== ''),
                options,
              ),
      }),
  },
  {
    does: 'forgets the standard input of detached commands',
    killedBy: 'exec: standard input is passed on, and is empty when there is none',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(argv, options.detached === true ? without(options, 'stdin') : options),
      }),
  },
  {
    does: 'keeps the first part of the output',
    killedBy: 'exec: the last 64 KiB of each output are kept',
    make: () =>
      broken({
        exec: (argv, options) => changed(soundExec(argv, options), ({ stdout }) => ({ stdout: stdout.slice(0, 4096) })),
      }),
  },
  {
    does: "passes the caller's environment on",
    killedBy: 'exec: the environment holds nothing of the caller',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(['env', 'LC_ALL=de_DE.UTF-8', 'HOME=/root', ...argv], options),
      }),
  },
  {
    does: 'takes a missing program for an exit code',
    killedBy: 'exec: a program that does not exist is missing',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ ended }) =>
            ended === 'missing' ? { ended: 'exited', exitCode: 127 } : {},
          ),
      }),
  },
  {
    does: 'takes a file that may not be executed for a missing one',
    killedBy: 'exec: a file that may not be executed is refused',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ ended }) => (ended === 'refused' ? { ended: 'missing' } : {})),
      }),
  },
  {
    does: 'runs something else when there is no command',
    killedBy: 'exec: a malformed command is a TypeError',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(argv.length === 0 ? ['true'] : argv, options),
      }),
  },
  {
    does: 'does not say that it was itself who killed a command',
    killedBy: 'exec: a command is killed at its deadline',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ ended }) => (ended === 'killed' ? { ended: 'signalled' } : {})),
      }),
  },
  {
    does: 'kills a detached command at its deadline, and says that it runs on',
    killedBy: 'exec: a detached command runs on after its deadline',
    make: () =>
      broken({
        exec: (argv, options) =>
          options.deadline === undefined
            ? soundExec(argv, options)
            : changed(soundExec(argv, without(options, 'detached')), () => ({ ended: 'running' })),
      }),
  },
  {
    does: 'takes no locks',
    killedBy: 'exec: a lock that is held keeps a second command from beginning',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(argv, without(options, 'lock')),
      }),
  },
  {
    does: 'takes the first of several locks',
    killedBy: 'exec: one of several locks is enough to keep a command from beginning',
    make: () =>
      broken({
        exec: (argv, options) =>
          soundExec(
            argv,
            options.lock === undefined ? options : { ...options, lock: [...options.lock].sort().slice(0, 1) },
          ),
      }),
  },
  {
    does: "takes a command's own exit code for a lock that is held",
    killedBy: 'exec: a command that exits with the code of a conflict is not locked',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ exitCode }) => (exitCode === 75 ? { ended: 'locked' } : {})),
      }),
  },
  {
    does: 'creates the file that is to be locked',
    killedBy: 'exec: a lock on what is not there is refused, and creates nothing',
    make: () =>
      broken({
        exec: async (argv, options) => {
          for (const path of options.lock ?? []) await soundExec(['tee', '-a', path], {})
          return soundExec(argv, options)
        },
      }),
  },
  {
    does: 'looks at the signal when the command has run',
    killedBy: 'exec: an aborted signal begins nothing',
    make: () =>
      broken({
        exec: async (argv, options) => {
          await soundExec(argv, without(options, 'signal'))
          return soundExec(argv, options)
        },
      }),
  },
  {
    does: 'ends a detached command at an abort',
    killedBy: 'exec: an abort leaves a detached command to go on with its lock',
    make: () =>
      broken({
        exec: (argv, options) =>
          options.signal === undefined ? soundExec(argv, options) : soundExec(argv, without(options, 'detached')),
      }),
  },
  {
    does: 'does the reads of a batch before its commands',
    killedBy: 'batch: gives each item its own result, in order',
    make: () =>
      broken({
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
  },
  {
    does: 'does the items of a batch at once',
    killedBy: 'batch: a command that fails skips the commands after it, and no read',
    make: () =>
      broken({
        batch: async (items, options) => (await Promise.all(items.map((item) => soundBatch([item], options)))).flat(),
      }),
  },
  {
    does: 'skips after an accepted code',
    killedBy: 'batch: a command with an accepted code skips nothing',
    make: () =>
      broken({
        batch: (items, options) =>
          soundBatch(
            items.map((item) => ('exec' in item ? { ...item, accept: [0] } : item)),
            options,
          ),
      }),
  },
  {
    does: 'goes on after a missing program',
    killedBy: 'batch: a missing program skips the commands after it',
    make: () =>
      broken({
        batch: (items, options) =>
          oneByOne(soundExec, items, options, (_, { ok, ended }) => !ok && ended !== 'missing'),
      }),
  },
  {
    does: 'goes on after a failed expectation',
    killedBy: 'batch: an expectation that fails skips the commands after it, and says what was found',
    make: () =>
      broken({
        batch: (items, options) => oneByOne(soundExec, items, options, (item, { ok }) => !ok && !('expect' in item)),
      }),
  },
  {
    does: 'compares expectations in lower case',
    killedBy: 'batch: expectations compare files trimmed, ranges in hexadecimal, stats by their numbers',
    make: () =>
      broken({
        batch: (items, options) =>
          soundBatch(
            items.map((item) => ('expect' in item ? { ...item, equals: item.equals.toLowerCase() } : item)),
            options,
          ),
      }),
  },
  {
    does: 'reads every range from the start of the device',
    killedBy: 'batch: reads give what is there',
    make: () =>
      broken({
        batch: (items, options) =>
          soundBatch(
            items.map((item) => ('read' in item && item.read === 'range' ? { ...item, offset: 0n } : item)),
            options,
          ),
      }),
  },
  {
    does: 'says EIO of every read that fails',
    killedBy: 'batch: a read that fails says why by the name of its errno',
    make: () =>
      broken({
        batch: async (items, options) =>
          (await soundBatch(items, options)).map((result) =>
            typeof result === 'object' && result !== null && 'errno' in result ? { ...result, errno: 'EIO' } : result,
          ),
      }),
  },
  {
    does: 'finds the root filesystem wherever one asks',
    killedBy: 'batch: a storage read finds the mount of a path, and nothing where nothing is',
    make: () =>
      broken({
        batch: (items, options) =>
          soundBatch(
            items.map((item) =>
              'read' in item && item.read === 'storage' && 'path' in item.at ? { ...item, at: { path: '/' } } : item,
            ),
            options,
          ),
      }),
  },
  {
    does: 'takes no locks that others could see',
    killedBy: 'batch: a storage read shows an image, its bytes and who holds a lock on it',
    make: () =>
      broken({
        exec: (argv, options) => soundExec(argv, without(options, 'lock')),
      }),
  },
  {
    does: 'checks an item when its turn comes',
    killedBy: 'batch: a malformed item is a TypeError before anything is done',
    make: () =>
      broken({
        batch: async (items, options) => {
          const results: unknown[] = []
          for (const item of items) results.push(...(await soundBatch([item], options)))
          return results
        },
      }),
  },
  {
    does: 'goes on with a batch after an abort',
    killedBy: 'batch: an abort in the middle begins no further command',
    make: () =>
      broken({
        batch: async (items, options) => {
          const work = soundBatch(items, {})
          await new Promise<void>((resolve) => {
            options.signal?.addEventListener('abort', () => resolve())
            work.then(
              () => resolve(),
              () => resolve(),
            )
          })
          if (options.signal?.aborted !== true) return work
          const details = { layer: 'host', outcome: 'unknown', cause: options.signal.reason } as const
          throw new VolumeExpansionError('aborted', 'The run was aborted.', details)
        },
      }),
  },
  {
    does: 'cannot be closed twice',
    killedBy: 'close: can be called again and again',
    make: () =>
      broken({
        close: (() => {
          let closed = false
          return async () => {
            if (closed) throw new Error('it is closed')
            closed = true
          }
        })(),
      }),
  },
  {
    does: 'runs a command again when it has failed',
    killedBy: 'exec: a command runs once, however it is run',
    make: () =>
      broken({
        exec: async (argv, options) => {
          const result = await soundExec(argv, options)
          return result.ended === 'exited' && !result.ok ? soundExec(argv, options) : result
        },
      }),
  },
  {
    does: 'runs a command of a batch twice',
    killedBy: 'exec: a command runs once, however it is run',
    make: () =>
      broken({
        batch: async (items, options) => {
          if (items.length === 1 && items.every((item) => 'exec' in item)) await soundBatch(items, options)
          return soundBatch(items, options)
        },
      }),
  },
  {
    does: 'gives a command its standard input by an argument of a shell',
    killedBy: 'secrets: neither standard input nor what the host was given shows',
    make: () =>
      broken({
        exec: ([program = '', ...args], { stdin, ...options }) =>
          stdin === undefined || stdin.length > 100 || program === ''
            ? soundExec([program, ...args], { ...options, ...(stdin === undefined ? {} : { stdin }) })
            : changed(
                soundExec(
                  ['sh', '-c', 'printf %s "$1" | (shift; "$@")', 'sh', Buffer.from(stdin).toString(), program, ...args],
                  options,
                ),
                () => ({ argv: [program, ...args] }),
              ),
      }),
  },
  {
    does: 'shows standard input in errors',
    killedBy: 'secrets: neither standard input nor what the host was given shows',
    make: () =>
      broken({
        exec: (argv, options) =>
          soundExec(argv, options).catch((error) => {
            throw Object.assign(error, { options: { input: Buffer.from(options.stdin ?? []).toString('base64') } })
          }),
      }),
  },
  {
    does: 'takes what it cannot read for empty',
    killedBy: 'batch: a read that fails says why by the name of its errno',
    make: () =>
      broken({
        batch: async (items, options) =>
          (await soundBatch(items, options)).map((result) =>
            typeof result === 'object' && result !== null && 'errno' in result ? { ok: true, value: '' } : result,
          ),
      }),
  },
  {
    does: 'believes that a command which ended has succeeded',
    killedBy: 'exec: a command that fails is a result, not a rejection',
    make: () =>
      broken({
        exec: (argv, options) =>
          changed(soundExec(argv, options), ({ ended }) => (ended === 'exited' ? { ok: true, exitCode: 0 } : {})),
      }),
  },
  {
    does: 'says of an abort under way that nothing was changed',
    killedBy: 'exec: an abort leaves a detached command to go on with its lock',
    make: () =>
      broken({
        exec: (argv, options) =>
          soundExec(argv, options).catch((error) => {
            throw error instanceof VolumeExpansionError ? error.with({ outcome: 'unchanged' }) : error
          }),
      }),
  },
]

export const hosts: Suite = {
  name: 'host',
  isQuick: false,
  good: () => hostCases(() => hostSetup(sound)),
  mutants: mutants.map(({ does, killedBy, make }) => ({
    does,
    killedBy: [killedBy],
    cases: () => hostCases(() => hostSetup(make())),
  })),
}
