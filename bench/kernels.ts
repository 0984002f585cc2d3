import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runInUml } from '../test/lab/uml.ts'
import type { GrowthCase, RunnerOutput, RunnerSpec } from './growth/cases.ts'

/** Filesystems as they grew on one kernel, or why they could not be measured there. */
export type KernelResult =
  | { readonly where: string; readonly output: RunnerOutput }
  | { readonly where: string; readonly leftOut: string }

const root = process.getuid?.() === 0
// A PID namespace has its own count of processes, and its mounts and processes end with it.
const isolate = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const

/** On this machine: what is mounted needs root. */
export async function onThisKernel(
  directory: string,
  cases: readonly GrowthCase[],
  scratch: string | undefined,
): Promise<readonly KernelResult[]> {
  const online = cases.filter((growthCase) => growthCase.online)
  const offline = cases.filter((growthCase) => !growthCase.online)
  const mayIsolate = root && spawnSync(isolate[0], [...isolate.slice(1), 'true']).status === 0
  const where = 'this kernel'
  const measure = (chosen: readonly GrowthCase[], name: string): Promise<KernelResult> =>
    settle(where, async () => {
      // Whether anybody uses an image cannot be known in a PID namespace that hides most processes: there, offline growth is refused.
      const isolated = mayIsolate && chosen.every((growthCase) => growthCase.online)
      const spec = { cases: chosen, output: join(directory, `${name}.json`), isolated }
      const argv = [
        ...(isolated ? isolate : []),
        ...(await runner(directory, name, { ...spec, ...(scratch && { scratch }) })),
      ]
      const [program = '', ...args] = argv
      const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
      const [code] = await once(child, 'exit')
      if (code !== 0) throw new Error(`the runner ended with ${code}`)
      return outputOf(spec.output)
    })
  const results: KernelResult[] = []
  if (online.length > 0) {
    const missing = root ? missingPrograms(online) : []
    if (!root) results.push({ where, leftOut: `${names(online)} online: mounting needs root` })
    else if (missing.length > 0) results.push({ where, leftOut: `${names(online)} online: no ${missing.join(', ')}` })
    else results.push(await measure(online, 'host-online'))
  }
  if (offline.length > 0) {
    const missing = missingPrograms(offline)
    if (missing.length > 0) results.push({ where, leftOut: `${names(offline)} offline: no ${missing.join(', ')}` })
    else results.push(await measure(offline, 'host-offline'))
  }
  return results
}

/** On a kernel of its own, which has every right whatever the machine allows. */
export async function inUserModeLinux(
  directory: string,
  cases: readonly GrowthCase[],
  signal: AbortSignal,
): Promise<KernelResult> {
  return settle('User-Mode Linux', async () => {
    const output = join(directory, 'uml.json')
    const argv = [...isolate, ...(await runner(directory, 'uml', { cases, output, isolated: true }))]
    const { exitCode } = await runInUml({
      argv,
      cwd: directory,
      writable: [directory],
      timeout: 1_800_000,
      signal,
      stdout: process.stderr,
      stderr: process.stderr,
    })
    if (exitCode !== 0) throw new Error(`the runner ended with ${exitCode}`)
    return outputOf(output)
  })
}

async function runner(directory: string, name: string, spec: RunnerSpec): Promise<readonly string[]> {
  const path = join(directory, `${name}-spec.json`)
  await writeFile(path, JSON.stringify(spec))
  return [process.execPath, join(directory, 'growth/runner.js'), path]
}

async function outputOf(path: string): Promise<RunnerOutput> {
  return JSON.parse(await readFile(path, 'utf8'))
}

async function settle(where: string, measure: () => Promise<RunnerOutput>): Promise<KernelResult> {
  try {
    return { where, output: await measure() }
  } catch (error) {
    return { where, leftOut: error instanceof Error ? error.message : String(error) }
  }
}

function names(cases: readonly GrowthCase[]): string {
  return [...new Set(cases.map(({ filesystem }) => filesystem))].join(', ')
}

function missingPrograms(cases: readonly GrowthCase[]): readonly string[] {
  const needed = cases.flatMap(({ filesystem, online }) => [
    ...(filesystem === 'xfs' ? ['mkfs.xfs', 'xfs_growfs'] : ['mkfs.ext4', 'resize2fs']),
    ...(online ? ['losetup', 'blkid', 'blockdev'] : []),
  ])
  return [...new Set(needed)].filter((program) => spawnSync(program, ['--version']).error !== undefined)
}
