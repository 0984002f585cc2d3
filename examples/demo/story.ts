import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { file } from '../../providers/file/index.ts'
import { type ExpandRequest, type FindingCode, formatSize, localHost, parseSize, plan } from '../../src/index.ts'
import { type Checksums, checksumOf, writeData } from './data.ts'
import { count, countProcesses, milliseconds, showGrowth, showPlan } from './growth.ts'
import { type Mounted, makeSparseFile, mountImage } from './image.ts'
import type { Kind, Usage } from './kind.ts'
import { findProgram } from './machine.ts'
import { proveContent, proveNothingLeft, recordsFile, usageOf, type Volume } from './proof.ts'
import type { Stage } from './stage.ts'
import { monotonicNow, startWriter } from './writer.ts'

const target = '1Gi'

/** Shows one kind of filesystem from its making to its proof. @returns how it was grown, in a few words */
export async function showFilesystem(stage: Stage, kind: Kind): Promise<string> {
  const { screen, directory, cleanup, signal } = stage
  screen.section(kind.name)
  if (findProgram(kind.makeTool) === undefined) {
    screen.mark('open', 'left out', `${kind.makeTool} is not installed; it is in the package ${kind.packageName}.`)
    return `left out: ${kind.makeTool} is missing (package ${kind.packageName})`
  }
  const image = join(directory, `${kind.type}.img`)
  await makeSparseFile(image, parseSize(kind.size))
  await kind.make(image)
  const mounted = await mountImage(image, kind.type, join(directory, kind.type), cleanup)
  signal.throwIfAborted()
  if ('reason' in mounted) return await showUnmounted(stage, kind, image, mounted.reason)
  screen.say('volume', `${image}, a sparse file of ${formatSize(parseSize(kind.size))}`)
  screen.say('online', `mounted on ${mounted.mountPoint} through ${mounted.device}`)
  return await showMounted(stage, kind, image, mounted)
}

/** What both ways of growing ask for: the volume is named, and the host finds out where it is used. */
function requestFor({ signal }: Stage, image: string): ExpandRequest {
  return { volume: file().volume(image), host: localHost(), to: target, signal }
}

async function showMounted(stage: Stage, kind: Kind, image: string, mounted: Mounted): Promise<string> {
  const { screen, cleanup, signal } = stage
  const checksums = await makeData(stage, mounted.mountPoint, kind.files)
  const before = await usageOf(mounted.mountPoint)
  const writer = await startWriter(join(mounted.mountPoint, recordsFile), cleanup)
  screen.say('writer', `pid ${writer.pid} appends records of 4 KiB, each with fsync`)
  // So that there is something to compare with.
  await sleep(600, undefined, { signal })

  const request = requestFor(stage, image)
  const planned = await plan(request)
  showPlan(screen, planned)
  if (planned.blocked) {
    const written = await writer.stop()
    await mounted.release()
    screen.mark('open', 'offline', 'Unmounted, and its writer stopped: now the same is asked for with `offline: true`.')
    return await showOffline(stage, { kind, image, checksums, written }, request, before)
  }

  const from = monotonicNow()
  const { result: report, processes } = await countProcesses(() => showGrowth(screen, planned))
  const until = monotonicNow()
  await sleep(300, undefined, { signal })
  await proveNothingLeft(stage, request)
  const written = await writer.stop()
  await mounted.release()

  screen.say('done', `in ${milliseconds(report.milliseconds)}, with ${count(processes, 'process', 'processes')}`)
  await proveContent(stage, { kind, image, checksums, written }, before)
  const worst = written.worst(from, until)
  const held = worst === undefined ? 'between two records' : `for ${milliseconds(worst)} at worst`
  const usual = `${milliseconds(written.typical)} is typical, ${milliseconds(written.worst(0, from) ?? 0)} the worst before`
  screen.say('held up', `while it was grown, the writer waited ${held} (${usual})`)
  return `online; its writer waited ${held}`
}

async function showUnmounted(stage: Stage, kind: Kind, image: string, reason: string): Promise<string> {
  const { screen, proofs, directory } = stage
  screen.say('volume', `${image}, a sparse file of ${formatSize(parseSize(kind.size))}`)
  screen.say('offline', `it cannot be mounted here (${reason}), so it is an image that nobody uses`)
  const request: ExpandRequest = { ...requestFor(stage, image), offline: true }
  if (kind.unmounted !== undefined) {
    const source = join(directory, `${kind.type}-source`)
    await mkdir(source)
    const checksums = await makeData(stage, source, kind.files)
    await kind.make(image, source)
    await rm(source, { recursive: true })
    return await showOffline(stage, { kind, image, checksums }, request, await kind.unmounted.usage(image))
  }
  const before = await checksumOf(image)
  const planned = await plan(request)
  showPlan(screen, planned)
  if (!planned.blocked) {
    screen.mark('open', 'left out', `${kind.name} grows while it is mounted only, and this machine does not mount it.`)
  }
  proofs.add('untouched', (await checksumOf(image)) === before, 'every byte of the image is as it was before the plan')
  return `planned only: ${kind.name} grows while it is mounted, and it cannot be mounted here`
}

/** Refusals that are about this machine; any other one would be wrong for an image that nobody uses. */
const ofTheMachine: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'exclusivity-unknown',
  'permission-denied',
  'tool-missing',
])

async function showOffline(stage: Stage, volume: Volume, online: ExpandRequest, before: Usage): Promise<string> {
  const { screen } = stage
  const request: ExpandRequest = { ...online, offline: true }
  const planned = await plan(request)
  showPlan(screen, planned)
  if (planned.blocked) {
    const reasons = planned.findings.filter(({ severity }) => severity === 'blocker').map(({ code }) => code)
    if (!reasons.every((code) => ofTheMachine.has(code))) {
      stage.proofs.add('plan', false, 'nothing stands against growing this image, and it was refused')
    }
    await proveContent(stage, volume)
    return `planned only, and refused: ${reasons.join(', ')}`
  }
  const { result: report, processes } = await countProcesses(() => showGrowth(screen, planned))
  await proveNothingLeft(stage, request)
  screen.say('done', `in ${milliseconds(report.milliseconds)}, with ${count(processes, 'process', 'processes')}`)
  await proveContent(stage, volume, before)
  return 'offline, on its image'
}

async function makeData({ screen, signal }: Stage, root: string, files: number): Promise<Checksums> {
  const task = screen.task('data', `${files} files of 4 MiB`)
  const checksums = await writeData(root, files, signal, (written) => task.update(`${written} written`))
  task.end('plain', 'written, with the SHA-256 of each')
  return checksums
}
