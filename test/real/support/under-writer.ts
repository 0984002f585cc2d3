import { join } from 'node:path'
import { expect } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { localHost } from '../../../src/index.ts'
import { expectSound } from './checks.ts'
import { until } from './commands.ts'
import { expectContent, writeContent } from './content.ts'
import { Disk } from './disk.ts'
import { expectGrown } from './outcomes.ts'
import { intactRecords, startWriter } from './writer.ts'

export interface GrowthUnderWriter {
  readonly mkfs: readonly string[]
  readonly family: 'ext' | 'xfs'
  readonly mountOptions?: readonly string[]
  /** Bytes of the volume. */
  readonly from: bigint
  readonly to: bigint
}

/** That a volume grows with everything on it while a process writes and syncs, and that nothing that was confirmed is lost. */
export async function expectGrowthUnderWriter({
  mkfs,
  family,
  mountOptions,
  from,
  to,
}: GrowthUnderWriter): Promise<void> {
  const disk = new Disk(from)
  disk.mkfs(mkfs)
  const mountPoint = await disk.mount(mountOptions)
  const content = writeContent(mountPoint)
  const records = join(mountPoint, 'records')
  const writer = await startWriter(records)
  const before = writer.confirmed()
  const { report } = await expectGrown({ volume: file().volume(disk.image), host: localHost(), to: `${to}` })
  const after = writer.confirmed()
  await until('a record after the growth', () => writer.confirmed() > after + 10)
  const confirmed = await writer.stop()
  expect(before).toBeLessThan(confirmed)
  expect(report.layers.map(({ kind, before: was, after: is }) => [kind, was, is])).toEqual([
    ['volume', from, to],
    ['device', from, to],
    ['filesystem', from, to],
  ])
  await disk.unmount()
  expectSound(disk.device, family)
  await disk.mount()
  expectContent(disk.mountPoint, content)
  expect(intactRecords(join(disk.mountPoint, 'records'))).toBeGreaterThanOrEqual(confirmed)
}
