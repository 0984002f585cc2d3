import { once } from 'node:events'
import { chmod, copyFile, readFile, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { logOf, type PartCommand, type PartContext, startPart, stopPart } from './part.ts'

/** The Debian packages that the kernel and its modules come from. */
const packages = 'user-mode-linux kmod'
const checkout = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '')
const mebibyte = 1024 * 1024
/** What boot and power-off may take on a busy machine, in milliseconds. */
const bootAllowance = 120_000

export interface UmlJob {
  readonly argv: readonly string[]
  /** Directory of the host; left out: the checkout. */
  readonly cwd?: string
  /** Beside PATH, HOME, TMPDIR and LC_ALL, which the guest sets. */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds that the job itself may take; left out: 10 minutes. */
  readonly timeout?: number
  /** MiB; left out: 3072. Most of it is the guest's /mnt and /tmp. */
  readonly memory?: number
  /** Directories of the host that the guest may write to; all others are read-only. */
  readonly writable?: readonly string[]
  readonly stdout: Writable
  readonly stderr: Writable
  /** Aborted: the guest is ended, and the run rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface UmlResult {
  /** As the job ended; 124 when its time was up. */
  readonly exitCode: number
  /** Boot and power-off included. */
  readonly milliseconds: number
}

/**
 * Runs one job on a kernel of its own, User-Mode Linux: an ordinary process with every capability, loop devices and device-mapper inside. It sees this host's
 * files read-only, this very Node and the checkout among them. Images belong on /mnt or in TMPDIR, both of which are the guest's memory.
 */
export async function runInUml(job: UmlJob): Promise<UmlResult> {
  job.signal?.throwIfAborted()
  const began = performance.now()
  const running = await startPart({ name: 'uml', prepare: (context) => prepare(job, context) }).catch((cause) => {
    throw new Error(`linux.uml cannot be run; it comes with the Debian packages ${packages}.`, { cause })
  })
  const timeout = (job.timeout ?? 600_000) + bootAllowance
  const deadline = AbortSignal.timeout(timeout)
  const stop = (): void => void stopPart(running.part)
  const signals = [deadline, ...(job.signal === undefined ? [] : [job.signal])]
  for (const signal of signals) signal.addEventListener('abort', stop, { once: true })
  try {
    const [, , , stdout, stderr] = running.process.stdio
    await Promise.all([copy(stdout as Readable, job.stdout), copy(stderr as Readable, job.stderr), running.ended])
    job.signal?.throwIfAborted()
    if (deadline.aborted) throw new Error(`The guest did not end within ${timeout / 1000} s, and was ended.`)
    const status = await readFile(join(running.part.directory, 'status'), 'utf8').catch(() => '')
    if (!/^\d+\n$/.test(status)) {
      const console = await readFile(logOf(running.part.directory), 'utf8').catch(() => '')
      throw new Error(`The guest ended without a status. The end of its console:\n${console.slice(-4000)}`)
    }
    return { exitCode: Number(status), milliseconds: performance.now() - began }
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', stop)
    await stopPart(running.part)
  }
}

async function prepare(job: UmlJob, { directory }: PartContext): Promise<PartCommand> {
  if (/\s/.test(directory)) {
    throw new Error(`The kernel's command line cannot name a directory with white space: ${directory}`)
  }
  const memory = job.memory ?? 3072
  const init = join(directory, 'init')
  await copyFile(new URL('uml-init.sh', import.meta.url), init)
  await chmod(init, 0o755)
  const writable = [directory, ...(job.writable ?? []).map((path) => resolve(path))]
  const cwd = resolve(job.cwd ?? checkout)
  const environment = {
    PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/mnt/home',
    TMPDIR: '/mnt/tmp',
    LC_ALL: 'C',
    ...job.env,
  }
  const lists = {
    argv: job.argv,
    env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    visible: [checkout, dirname(dirname(process.execPath)), cwd],
    writable,
  }
  for (const [name, list] of Object.entries(lists)) {
    await writeFile(join(directory, name), list.map((item) => `${item}\0`).join(''))
  }
  const seconds = Math.ceil((job.timeout ?? 600_000) / 1000)
  await writeFile(join(directory, 'settings'), `seconds=${seconds}\ncwd=${quoted(cwd)}\n`)
  return {
    argv: [
      'linux.uml',
      'rootfstype=hostfs',
      'root=none',
      'ro',
      `mem=${memory}M`,
      'quiet',
      'con=null',
      'con0=null,fd:1',
      'con1=null,fd:3',
      'con2=null,fd:4',
      `init=${init}`,
    ],
    env: { PATH: process.env['PATH'], HOME: directory, TMPDIR: await memoryDirectory(memory) },
    pipes: 2,
  }
}

/** The guest's memory is a file: on tmpfs where that is large enough and code may run from it. */
async function memoryDirectory(memory: number): Promise<string> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const shm = mounts.split('\n').find((line) => line.split(' ')[1] === '/dev/shm')
  if (shm === undefined || shm.split(' ')[3]?.split(',').includes('noexec')) return tmpdir()
  const { bavail, bsize } = await statfs('/dev/shm')
  return bavail * bsize > memory * mebibyte ? '/dev/shm' : tmpdir()
}

async function copy(from: Readable, to: Writable): Promise<void> {
  for await (const chunk of from) {
    if (!to.write(chunk)) await once(to, 'drain')
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
