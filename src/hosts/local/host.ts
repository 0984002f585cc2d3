import type { BatchExecutor, Progress } from '../batch.ts'
import { runBatch, untilAborted } from '../batch.ts'
import { checkArgv, checkExecOptions } from '../command.ts'
import type { ExecResult, Host, ReadItem, ReadResult } from '../host.ts'
import { readLvm } from '../storage/lvm.ts'
import { readStorage } from '../storage/snapshot.ts'
import type { StorageSource } from '../storage/source.ts'
import { execute, type Machine } from './execute.ts'
import { readBytes, readStat, readStatfs, readText, readTools } from './reads.ts'
import { localFiles } from './source.ts'

/** The local host over the parts of the machine that tests replace. */
export function hostOn(machine: Machine): Host {
  const source: StorageSource = { ...localFiles, lvm: () => readLvm((argv) => execute(machine, argv, {}, undefined)) }
  const executor: BatchExecutor = {
    read: (item) => read(item, source),
    execute: (item, signal) => execute(machine, item.exec, item, signal),
  }
  return {
    id: 'local',
    async exec(argv, options = {}): Promise<ExecResult> {
      checkArgv(argv)
      checkExecOptions(options)
      const progress: Progress = { begun: false }
      return untilAborted(options.signal, progress, () => {
        progress.begun = true
        return execute(machine, argv, options, options.signal)
      })
    },
    batch: (items, options = {}) => runBatch(items, options, executor),
    close: async () => undefined,
  }
}

function read(item: ReadItem, source: StorageSource): Promise<ReadResult<unknown>> {
  switch (item.read) {
    case 'file':
      return readText(item)
    case 'range':
      return readBytes(item)
    case 'stat':
      return readStat(item)
    case 'statfs':
      return readStatfs(item)
    case 'tools':
      return readTools(item)
    case 'storage':
      return readStorage(source, item)
    default:
      return item satisfies never
  }
}
