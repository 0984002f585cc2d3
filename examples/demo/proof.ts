import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type ExpandRequest, expand, formatSize } from '../../src/index.ts'
import { type Checksums, damagedFiles } from './data.ts'
import { count, countProcesses } from './growth.ts'
import { mountImage } from './image.ts'
import type { Kind, Usage } from './kind.ts'
import { findProgram } from './machine.ts'
import { intactRecords } from './records.ts'
import type { Stage } from './stage.ts'
import type { Written } from './writer.ts'

/** The writer's file, in the root directory of the filesystem. */
export const recordsFile = 'records'

/** One filesystem, and what is known to be in it. */
export interface Volume {
  readonly kind: Kind
  readonly image: string
  readonly checksums: Checksums
  /** What its writer wrote; none ran when it was never mounted. */
  readonly written?: Written
}

/** The same request again: it looks, and finds nothing to do. */
export async function proveNothingLeft({ proofs }: Stage, request: ExpandRequest): Promise<void> {
  const { result, processes } = await countProcesses(async () => expand(request).then((report) => report))
  proofs.add(
    'again',
    !result.changed && processes === 0,
    `the same call once more: ${result.changed ? 'something was changed' : 'nothing to do'}, ${count(processes, 'process', 'processes')} started`,
  )
}

/**
 * Checks a filesystem that nobody has mounted: its structure, every byte that was written to it, and, when it was grown, that its users have more than
 * they had before.
 */
export async function proveContent(stage: Stage, volume: Volume, before?: Usage): Promise<void> {
  const { directory, cleanup, signal } = stage
  const { kind, image } = volume
  signal.throwIfAborted()
  await proveStructure(stage, volume)
  // A fresh mount: what is read now comes from the image, not from what the kernel had kept in memory.
  const look = await mountImage(image, kind.type, join(directory, `${kind.type}-look`), cleanup, kind.lookOptions)
  if (!('reason' in look)) {
    if (before !== undefined) proveUsage(stage, 'df', before, await usageOf(look.mountPoint))
    await proveData(stage, volume, look.mountPoint)
    await look.release()
    return
  }
  if (kind.unmounted === undefined) throw new Error(`${image} cannot be mounted any more: ${look.reason}`)
  const { usage, usageTool, readBack } = kind.unmounted
  if (before !== undefined) proveUsage(stage, usageTool, before, await usage(image))
  const copies = join(directory, `${kind.type}-copies`)
  await readBack(image, [...volume.checksums.keys()], copies)
  await proveData(stage, volume, copies)
  await rm(copies, { recursive: true })
}

/** What df shows of a mounted filesystem. */
export async function usageOf(path: string): Promise<Usage> {
  const { bsize, blocks, bavail } = await statfs(path, { bigint: true })
  return { size: blocks * bsize, available: bavail * bsize }
}

async function proveStructure({ screen, proofs }: Stage, { kind, image }: Volume): Promise<void> {
  const label = kind.checkTool
  if (findProgram(label) === undefined) {
    screen.mark('open', 'left out', `${label} is not installed; it is in the package ${kind.packageName}.`)
    return
  }
  const damage = await kind.check(image)
  proofs.add(label, damage === undefined, damage ?? 'the filesystem is clean')
}

function proveUsage({ screen, proofs }: Stage, tool: string, before: Usage, after: Usage): void {
  const grown = after.size > before.size && after.available > before.available
  const change = (from: bigint, to: bigint): string => `${formatSize(from)} ${screen.arrow} ${formatSize(to)}`
  proofs.add(
    tool,
    grown,
    `size ${change(before.size, after.size)}, available ${change(before.available, after.available)}`,
  )
}

async function proveData({ proofs }: Stage, { checksums, written }: Volume, root: string): Promise<void> {
  const damaged = await damagedFiles(root, checksums)
  const intact = checksums.size - damaged.length
  const named = damaged.length === 0 ? '' : ` (not: ${damaged.join(', ')})`
  proofs.add('checksums', damaged.length === 0, `${intact} of ${checksums.size} files are as they were written${named}`)
  if (written === undefined) return
  const found = await intactRecords(join(root, recordsFile))
  proofs.add(
    'records',
    found === written.records,
    `${found} of ${written.records} that fsync confirmed are there and intact`,
  )
}
