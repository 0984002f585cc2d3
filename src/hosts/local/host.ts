import type { BatchExecutor, Progress } from '../batch.ts'
import { runBatch, untilAborted } from '../batch.ts'
import { checkArgv, checkExecOptions } from '../command.ts'
import type { ExecResult, Host, ReadItem, ReadResult } from '../host.ts'
import { readStorage } from '../storage/snapshot.ts'
import { execute, type Machine } from './execute.ts'
import { readBytes, readStat, readStatfs, readText, readTools } from './reads.ts'
import { localSource } from './source.ts'

/** The local host over the parts of the machine that tests replace. */
export function hostOn(machine: Machine): Host {
  const executor: BatchExecutor = {
    read: (item) => read(item),
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

function read(item: ReadItem): Promise<ReadResult<unknown>> {
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
      return readStorage(localSource, item)
    default:
      return item satisfies never
  }
}
