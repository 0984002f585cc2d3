import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type {
  Capabilities,
  Limit,
  ReadOutcome,
  VolumeExpander,
  VolumeIdentity,
  VolumeState,
  VolumeUser,
} from '../../src/expander.ts'
import { isLocalFilesystem } from '../../src/hosts/filesystem-types.ts'
import { type Bytes, bytes, formatSize, maxSize, parseSize } from '../../src/size.ts'
import { type FileClient, type FileFacts, type FilesystemFacts, type LoopFacts, localFiles } from './client.ts'
import { fileError, invalidReference, providerName, shown } from './errors.ts'

/** Largest offset that node:fs can name exactly: 2^53 − 1. */
const largestOffset = BigInt(Number.MAX_SAFE_INTEGER)

const capabilities: Capabilities = {
  // A loop device shows whole sectors of up to 4 KiB: with this unit, file and device always agree.
  granularity: bytes(4096),
  readBatch: 1000,
  progress: false,
  // A loop device keeps its size until it is told to look again.
  hostsSeeGrowth: false,
}

// The magic number of ext2, ext3 and ext4 (linux/magic.h).
const extType = 0xef53n

/**
 * The provider of files. `normalize` asks the operating system for the path with its links resolved, synchronously: it changes nothing, and without it two
 * names of one file would be two volumes. Hard links and bind mounts of one file keep keys of their own; growing through both at once is safe all
 * the same, because the growth itself cannot shrink.
 */
export function fileExpander(client: FileClient = localFiles): VolumeExpander<string> {
  return {
    name: providerName,
    capabilities,
    normalize: (ref) => identityOf(ref, client),
    async read(refs, { signal }) {
      refuseAborted(signal)
      const [loops, processLimit] = await Promise.all([client.loops(), client.processLimit()])
      const states = await Promise.all(refs.map((ref) => stateOf(ref, client, loops, processLimit)))
      refuseAborted(signal)
      return states
    },
    async expand(ref, { size, signal }) {
      refuseAborted(signal)
      const path = pathOf(ref)
      if (parseSize(size) > largestOffset) throw tooLarge(path, size)
      try {
        // Looked at before it is opened: opening a device can have effects of its own.
        const { type, size: now } = await client.stat(path)
        if (type !== 'file') throw notAFile(path, type)
        if (now >= size) return
        const result = await client.extend(path, size, () => refuseAborted(signal))
        if (result.type !== 'file') throw notAFile(path, result.type)
        if (result.unsure !== undefined) throw fileError(result.unsure, path, 'unknown')
        if (result.size < size) throw notGrown(path, size, result.size)
      } catch (error) {
        throw fileError(error, path, 'unchanged')
      }
    },
    // The file is one of this machine's, whatever another machine has under that name.
    identify: (_ref, { key }) => ({ image: key, host: 'local' }),
  }
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
}

function identityOf(ref: string, client: FileClient): VolumeIdentity {
  const path = pathOf(ref)
  return { scope: 'localhost', key: client.canonical(path), label: shown(path) }
}

function pathOf(ref: unknown): string {
  if (typeof ref !== 'string') throw invalidReference(ref, 'a path is a string')
  if (ref === '') throw invalidReference(ref, 'the path is empty')
  if (ref.includes('\0')) throw invalidReference(ref, 'a path cannot hold a NUL character')
  if (!ref.startsWith('/')) {
    throw invalidReference(
      ref,
      'it is a relative path, which names another file in every working directory',
      "Give the absolute path: path.resolve('…').",
    )
  }
  if (/\/\.{0,2}$/.test(ref)) throw invalidReference(ref, 'it names a directory')
  // A lone surrogate has no UTF-8 form: the operating system would be given another name.
  if (Buffer.from(ref, 'utf8').toString('utf8') !== ref) throw invalidReference(ref, 'it is not well-formed Unicode')
  return ref
}

async function stateOf(
  ref: string,
  client: FileClient,
  loops: readonly LoopFacts[] | undefined,
  processLimit: bigint | undefined,
): Promise<ReadOutcome> {
  let path = ''
  try {
    path = pathOf(ref)
    const [facts, filesystem] = await Promise.all([client.stat(path), client.filesystem(path)])
    if (facts.type !== 'file') return notAFile(path, facts.type)
    return describe(client.canonical(path), facts, filesystem, loops, processLimit)
  } catch (error) {
    return fileError(error, path, 'unchanged')
  }
}

function describe(
  key: string,
  facts: FileFacts,
  filesystem: FilesystemFacts,
  loops: readonly LoopFacts[] | undefined,
  processLimit: bigint | undefined,
): VolumeState {
  const users = usersOf(facts, filesystem, loops)
  return {
    key,
    size: bytes(facts.size),
    phase: 'stable',
    native: 'file',
    onlineGrowth: true,
    limits: [limitOf(filesystem, processLimit)],
    backed: backedBy(facts, filesystem),
    ...(users === undefined ? {} : { users }),
  }
}

function backedBy({ allocated }: FileFacts, { available }: FilesystemFacts): Bytes {
  const most = allocated + available
  // Some network filesystems claim to be larger than any file can be.
  return most < maxSize ? bytes(most) : maxSize
}

/**
 * The loop devices over the file: what a backend would call its attachments. Left out where another machine could have the file, or where a loop
 * device has a file that cannot be told from this one. Processes with the file open are seen by the host, which looks at every one of them.
 */
function usersOf(
  { dev, ino }: FileFacts,
  { type }: FilesystemFacts,
  loops: readonly LoopFacts[] | undefined,
): readonly VolumeUser[] | undefined {
  if (loops === undefined || !isLocalFilesystem(type) || loops.some(({ file }) => file === undefined)) return undefined
  return loops
    .filter(({ file }) => file?.dev === dev && file.ino === ino)
    .map(({ path }) => ({ kind: 'loop', description: path, isDevice: true }))
}

/** The lowest of the bounds. Free space is none: a sparse file may promise more than there is. */
function limitOf({ type, blockSize }: FilesystemFacts, processLimit: bigint | undefined): Limit {
  const limits: Limit[] = [{ what: 'size', most: bytes(largestOffset), source: 'the largest file offset of Node.js' }]
  if (type === extType) {
    // The kernel counts an ext file's blocks in 32 bits; files without extents end earlier still, which only the attempt shows.
    const most = bytes((2n ** 32n - 1n) * blockSize)
    limits.push({ what: 'size', most, source: `the largest file of ext4 with blocks of ${blockSize} bytes` })
  }
  if (processLimit !== undefined && processLimit <= largestOffset) {
    limits.push({ what: 'size', most: bytes(processLimit), source: 'the file size limit of this process (ulimit -f)' })
  }
  return limits.reduce((lowest, limit) => (limit.most < lowest.most ? limit : lowest))
}

function notAFile(path: string, type: FileFacts['type']): VolumeExpansionError {
  const remedy =
    type === 'block device'
      ? 'Leave the volume out and name the device, or use the provider that the device comes from.'
      : 'Give the absolute path of a regular file.'
  return invalidReference(path, `it is a ${type}, not a file`, remedy)
}

function tooLarge(path: string, size: bigint): VolumeExpansionError {
  return new VolumeExpansionError(
    'limit-exceeded',
    `${shown(path)} cannot become ${formatSize(size)} large: file offsets end at ${formatSize(largestOffset)}.`,
    { layer: 'volume', provider: providerName, outcome: 'unchanged', remedy: 'Ask for less.' },
  )
}

function notGrown(path: string, size: bigint, now: bigint): VolumeExpansionError {
  return new VolumeExpansionError(
    'backend-failed',
    `${shown(path)} should have ${formatSize(size)} now, and has ${formatSize(now)}.`,
    {
      layer: 'volume',
      provider: providerName,
      outcome: 'unknown',
      remedy: 'See whether something else truncates the file.',
    },
  )
}
