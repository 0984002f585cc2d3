import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { SshRunnerOutput, SshRunnerSpec } from './cases.ts'

/** Growths over SSH as they were measured, or why they could not be. */
export type SshMeasurement = { readonly output: SshRunnerOutput } | { readonly leftOut: string }

const programs = ['ssh', '/usr/sbin/sshd', 'mkfs.xfs', 'xfs_growfs', 'losetup', 'lsblk', 'blockdev']

/**
 * Over an SSH server on this machine and a link that adds latency: mounting and the server need root.
 * @param directory where {@link import('../package.ts').buildPackage} has built the package
 */
export async function measureSsh(
  directory: string,
  isQuick: boolean,
  scratch: string | undefined,
): Promise<SshMeasurement> {
  if (process.getuid?.() !== 0) return { leftOut: 'growth over SSH: mounting and the server need root' }
  const missing = programs.filter((program) => spawnSync(program, ['-V']).error !== undefined)
  if (missing.length > 0) return { leftOut: `growth over SSH: no ${missing.join(', ')}` }
  const rounds = isQuick ? [3, 2, 1] : [15, 9, 7]
  const spec: SshRunnerSpec = {
    links: [0, 20, 100].map((latency, index) => ({ latency, rounds: rounds[index] ?? 1 })),
    output: join(directory, 'ssh.json'),
    ...(scratch === undefined ? {} : { scratch }),
  }
  // What users install beside the package.
  const modules = join(directory, 'node_modules')
  await mkdir(modules, { recursive: true })
  await symlink(dirname(createRequire(import.meta.url).resolve('ssh2/package.json')), join(modules, 'ssh2'))
  const path = join(directory, 'ssh-spec.json')
  await writeFile(path, JSON.stringify(spec))
  const child = spawn(process.execPath, [join(directory, 'ssh/runner.js'), path], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) return { leftOut: `growth over SSH: the runner ended with ${code}` }
  return { output: JSON.parse(await readFile(spec.output, 'utf8')) }
}
