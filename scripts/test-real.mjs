// Real filesystems: first on this machine's kernel; then inside User-Mode Linux and, beside that, on an emulated machine over SSH: the short ones of its tests, or with --node all of
// them. Other arguments are names of test files, as Vitest takes them; with them, the emulated machine is started with --node only.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureSystemPackages, realTestPackages } from './system-packages.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
// All tests on the emulated machine take longer than all others together. These show every stack, every wrong disk and the full root.
const shortOnNode = ['stacks', 'wrong-disk', 'root'].map((name) => `test/real/node/${name}.test.ts`)
const withNode = process.argv.includes('--node')
const filters = process.argv.slice(2).filter((argument) => argument !== '--node')
const onNode = withNode ? filters : filters.length === 0 ? shortOnNode : undefined
// The tools are in directories that an ordinary PATH may lack.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` }

const vitest = (project, results, files = filters) => [
  join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  // The runner loads the configuration without writing beside it: the guest sees the checkout read-only.
  ...['--config', 'vitest.real.config.ts', '--configLoader', 'runner', '--project', project, '--passWithNoTests'],
  ...['--reporter=default', '--reporter=json', `--outputFile.json=${join(results, `real-${project}.json`)}`],
  ...files,
]

const run = async (title, ...argv) => {
  console.log(`\n${title}`)
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = await once(child, 'exit')
  return code === 0
}

/** Beside something else: what it says is shown when it is asked how it went. */
const begin = (title, ...argv) => {
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk))
  const ended = once(child, 'close')
  return async () => {
    const [code] = await ended
    console.log(`\n${title}`)
    process.stdout.write(Buffer.concat(said))
    return code === 0
  }
}

console.log(
  `Real tests need root and these Debian packages, which are installed when missing: ${realTestPackages.join(' ')}`,
)
if (process.getuid() !== 0) {
  console.error('Run this as root: it mounts filesystems and attaches loop devices.')
  process.exit(1)
}
await ensureSystemPackages(realTestPackages)

// The CI says where it wants the counts; otherwise nobody reads them.
const given = process.env.TEST_RESULTS
const results = given ?? mkdtempSync(join(tmpdir(), 'real-results-'))
mkdirSync(results, { recursive: true })
try {
  const tsx = join(root, 'node_modules/tsx/dist/cli.mjs')
  const lab = [tsx, 'test/lab/cli.ts', 'uml', '--timeout', '1800', '--writable', results, '--']
  // Each of the two has one processor: together they take as long as the longer one where there are two.
  const beside = async () => {
    const node = onNode && begin('On an emulated machine', ...vitest('node', results, onNode))
    const uml = await run('Inside User-Mode Linux', ...lab, process.execPath, ...vitest('uml', results))
    return [uml, ...(node ? [await node()] : [])]
  }
  const outcomes = [await run('On this kernel', ...vitest('host', results)), ...(await beside())]
  process.exitCode = outcomes.every(Boolean) ? 0 : 1
} finally {
  if (given === undefined) rmSync(results, { recursive: true })
}
