import { lvmReport } from '../../layers/lvm/command.ts'
import { failure } from '../errno.ts'
import type { ExecResult, ReadResult } from '../host.ts'

/** What LVM reports of everything that it sees. Nothing is locked and nothing written for it. */
export async function readLvm(execute: (argv: readonly string[]) => Promise<ExecResult>): Promise<ReadResult<string>> {
  const { ended, stdout, stderr } = await execute(lvmReport)
  if (ended === 'missing') return failure('ENOENT', 'the program lvm is missing')
  // A group that misses a volume makes it fail, and is reported all the same.
  if (ended === 'exited' && stdout.trim() !== '') return { ok: true, value: stdout }
  return failure('EIO', stderr.trim().split('\n').at(-1) ?? 'lvm said nothing')
}
