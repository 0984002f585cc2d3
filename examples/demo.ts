// Grows real filesystems in files of this machine, and proves that nothing was lost. Installs nothing, and leaves nothing behind.
import { mkdtemp, realpath, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatSize, VolumeExpansionError } from '../src/index.ts'
import { Cleanup } from './demo/cleanup.ts'
import { ext4 } from './demo/ext4.ts'
import { milliseconds } from './demo/growth.ts'
import { lookAtMachine, type Machine } from './demo/machine.ts'
import { isUnicode, screenOn } from './demo/screen.ts'
import { Proofs, type Stage } from './demo/stage.ts'
import { showFilesystem } from './demo/story.ts'
import { showVolumeAlone } from './demo/volume-alone.ts'
import { xfs } from './demo/xfs.ts'

/** Bytes that all the data of the demo takes, with room to spare. */
const room = 512n * 1024n * 1024n

const screen = screenOn(process.stdout, isUnicode(process.env))
const cleanup = new Cleanup()
const proofs = new Proofs(screen)
const interrupted = new AbortController()
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

for (const [name, code] of Object.entries(signals)) {
  process.on(name, () => {
    process.exitCode = code
    interrupted.abort(new Error(`${name}: cleaning up`))
  })
}

try {
  await main()
} catch (error) {
  screen.mark('bad', 'stopped', textOf(interrupted.signal.aborted ? interrupted.signal.reason : error))
  process.exitCode ??= 1
} finally {
  const left = await cleanup.run()
  for (const what of left) screen.mark('bad', 'left behind', what)
  if (left.length > 0) process.exitCode ??= 1
}

async function main(): Promise<void> {
  const began = performance.now()
  const machine = lookAtMachine()
  screen.title('volume-expander: real filesystems in files, grown while they are used')
  const directory = await realpath(await mkdtemp(join(tmpdir(), 've-demo-')))
  cleanup.add(directory, () => rm(directory, { recursive: true, force: true }))
  screen.say('user', `${machine.user} on Linux ${machine.kernel}, Node.js ${process.version}`)
  screen.say('may', mayText(machine))
  const { bavail, bsize } = await statfs(directory, { bigint: true })
  if (bavail * bsize < room) {
    throw new Error(
      `${directory} has ${formatSize(bavail * bsize)} left, and ${formatSize(room)} are needed. TMPDIR names another place.`,
    )
  }

  const stage: Stage = { screen, proofs, cleanup, directory, signal: interrupted.signal }
  const outcomes: (readonly [string, string])[] = []
  for (const kind of [ext4, xfs]) {
    try {
      outcomes.push([kind.name, await showFilesystem(stage, kind)])
    } catch (error) {
      if (interrupted.signal.aborted) throw error
      proofs.add(kind.name, false, textOf(error))
      outcomes.push([kind.name, 'failed'])
    }
  }
  if (outcomes.every(([, outcome]) => outcome.startsWith('left out'))) await showVolumeAlone(stage)
  interrupted.signal.throwIfAborted()

  screen.section('Summary')
  for (const [name, outcome] of outcomes) screen.say(name, outcome)
  screen.say(
    'proofs',
    `${proofs.passed} passed, ${proofs.failed} failed, in ${milliseconds(performance.now() - began)}; everything is removed again`,
  )
  process.exitCode = proofs.failed === 0 && proofs.passed > 0 ? 0 : 1
}

/** What the rights of this process mean for what will be shown. */
function mayText({ isRoot, rights }: Machine): string {
  const who = isRoot ? 'root' : 'an ordinary user'
  if (!rights.CAP_SYS_ADMIN) {
    return `${who} without CAP_SYS_ADMIN, so nothing can be mounted: ext4 is grown offline, in its image, and XFS, which grows only while it is mounted, is planned`
  }
  if (!rights.CAP_SYS_RESOURCE) {
    return `${who} with CAP_SYS_ADMIN, so XFS is grown while it is mounted; without CAP_SYS_RESOURCE, which the kernel wants for a mounted ext4, so ext4 is grown offline`
  }
  return `${who} with CAP_SYS_ADMIN and CAP_SYS_RESOURCE, so both are grown while they are mounted`
}

function textOf(error: unknown): string {
  if (error instanceof VolumeExpansionError) {
    const { code, message, outcome, remedy } = error
    return `${code} (${outcome}): ${message}${remedy === undefined ? '' : ` ${remedy}`}`
  }
  return error instanceof Error ? error.message : String(error)
}
