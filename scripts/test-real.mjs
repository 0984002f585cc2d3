// Real filesystems on this machine's kernel, then inside User-Mode Linux and, meanwhile, beside real storage backends; with --node also on an emulated machine over SSH, and
// with volumes of those backends on it. Other arguments are names of test files, as Vitest takes them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backendPackages, ensureSystemPackages, realTestPackages } from './system-packages.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
// The emulated machine takes longer than all others together.
const withNode = process.argv.includes('--node')
const filters = process.argv.slice(2).filter((argument) => argument !== '--node')
// The tools are in directories that an ordinary PATH may lack.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` }

const vitest = (project, results) => [
  join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  // The runner loads the configuration without writing beside it: the guest sees the checkout read-only.
  ...['--config', 'vitest.real.config.ts', '--configLoader', 'runner', '--project', project, '--passWithNoTests'],
  ...['--reporter=default', '--reporter=json', `--outputFile.json=${join(results, `real-${project}.json`)}`],
  ...filters,
]

async function run(title, ...argv) {
  console.log(`\n${title}`)
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'close')
  return code === 0
}

/** Runs it beside others; what it says is shown when it has ended. */
async function runBeside(title, ...argv) {
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk))
  const [code] = await once(child, 'close')
  console.log(`\n${title}`)
  process.stdout.write(Buffer.concat(said))
  return code === 0
}

const packages = [...realTestPackages, ...backendPackages]
console.log(`Real tests need root and these Debian packages, which are installed when missing: ${packages.join(' ')}`)
if (process.getuid() !== 0) {
  console.error('Run this as root: it mounts filesystems and attaches loop devices.')
  process.exit(1)
}
await ensureSystemPackages(packages)

// The CI says where it wants the counts; otherwise nobody reads them.
const given = process.env.TEST_RESULTS
const results = given ?? mkdtempSync(join(tmpdir(), 'real-results-'))
mkdirSync(results, { recursive: true })
try {
  const tsx = join(root, 'node_modules/tsx/dist/cli.mjs')
  const lab = [tsx, 'test/lab/cli.ts', 'uml', '--timeout', '1800', '--writable', results, '--']
  const outcomes = [
    await run('On this kernel', ...vitest('host', results)),
    // Each of these keeps about one processor busy.
    ...(await Promise.all([
      run('Inside User-Mode Linux', ...lab, process.execPath, ...vitest('uml', results)),
      runBeside('Beside real storage backends', ...vitest('backends', results)),
    ])),
    ...(withNode ? [await run('On an emulated machine', ...vitest('node', results))] : []),
    ...(withNode ? [await run('Their volumes there', ...vitest('backends-on-node', results))] : []),
  ]
  process.exitCode = outcomes.every(Boolean) ? 0 : 1
} finally {
  if (given === undefined) rmSync(results, { recursive: true })
}
