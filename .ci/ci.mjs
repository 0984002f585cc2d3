// Builtins only: it runs before anything is installed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backendPackages, ensureSystemPackages, realTestPackages } from '../scripts/system-packages.mjs'
import { forbiddenSkips, readReport } from './results.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const newerNodes = ['22', '24']
const minute = 60_000
const secondsToEnd = 20
// A run that hangs is ended by this script, which then still says the sum.
let deadline = performance.now() + 34 * minute

const scratch = mkdtempSync(join(tmpdir(), 'ci-'))
const results = join(scratch, 'results')
const environment = {
  ...process.env,
  CI: 'true',
  NO_COLOR: '1',
  // Tools of filesystems are in directories that an ordinary PATH may lack.
  PATH: [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter),
  // A lab of this run's own: it cannot meet, and never ends, what others have started.
  XDG_CACHE_HOME: join(scratch, 'cache'),
  TEST_RESULTS: results,
}
process.env.PATH = environment.PATH
const allowed = JSON.parse(readFileSync(join(root, 'test/lab/skips.json'), 'utf8')).skips

const total = { passed: 0, failed: 0, skipped: 0 }
const summary = []

function fail(stage, reason) {
  total.failed += 1
  summary.push(`FAILED  ${stage}: ${reason}`)
  console.log(`FAILED  ${stage}: ${reason}`)
}

const nothing = () => {}
/** Signals what runs now, and only that. */
let endCurrent = nothing
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    // No further stage begins; what runs is waited for, so that nothing stays behind.
    deadline = 0
    endCurrent('SIGTERM')
    setTimeout(() => endCurrent('SIGKILL'), secondsToEnd * 1000).unref()
  })
}

/** Runs a command to its end, in a process group of its own so that all of it can be ended when its time is up. */
async function run(argv, { env = environment, limit = 5 * minute } = {}) {
  const allowance = Math.min(limit, deadline - performance.now())
  if (allowance <= 0) return 'was not begun, because no time was left'
  const [program, ...args] = argv
  const child = spawn(program, args, { cwd: root, env, detached: true, stdio: ['ignore', 'inherit', 'inherit'] })
  const end = (signal) => {
    try {
      process.kill(-child.pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  endCurrent = end
  let expired = false
  const timers = [
    setTimeout(() => {
      expired = true
      end('SIGTERM')
    }, allowance),
    setTimeout(() => end('SIGKILL'), allowance + secondsToEnd * 1000),
  ]
  try {
    const [code, signal] = await once(child, 'exit')
    if (expired) return `took longer than ${(allowance / minute).toFixed(1)} minutes`
    return code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`
  } catch (error) {
    return error.message
  } finally {
    endCurrent = nothing
    for (const timer of timers) clearTimeout(timer)
  }
}

/** One stage: a command, and the reports of tests that it has to leave. A command that fails without a failed test is a failure itself. */
async function stage(title, argv, { reports = [], ...options } = {}) {
  console.log(`\n━━━ ${title}`)
  const began = performance.now()
  const before = total.failed
  const failure = await run(argv, options)
  for (const name of reports) {
    const file = join(results, name)
    if (!existsSync(file)) {
      fail(title, `${name} is missing, so its tests did not run`)
      continue
    }
    const report = readReport(file, root)
    total.passed += report.passed
    total.failed += report.failed
    total.skipped += report.skipped.length
    summary.push(`        ${name}: ${report.passed} passed, ${report.failed} failed, ${report.skipped.length} skipped`)
    for (const problem of report.problems) fail(title, problem)
    for (const skip of forbiddenSkips(report.skipped, allowed)) {
      fail(title, `skipped, and test/lab/skips.json does not allow it: ${skip.file} > ${skip.test}`)
    }
  }
  if (failure !== undefined && total.failed === before) fail(title, failure)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  summary.push(`${total.failed === before ? 'ok    ' : 'FAILED'}  ${title} (${seconds} s)`)
  return total.failed === before
}

const reportTo = (name) => ['--', '--reporter=default', '--reporter=json', `--outputFile.json=${join(results, name)}`]

async function checkAll() {
  console.log('━━━ system packages')
  await ensureSystemPackages([...realTestPackages, ...backendPackages]).catch((error) =>
    fail('system packages', error.message),
  )

  if (!(await stage('npm ci', ['npm', 'ci', '--no-audit', '--no-fund']))) return

  await stage('typecheck', ['npm', 'run', 'typecheck'])
  await stage('lint', ['npm', 'run', 'lint'])
  await stage('knip', ['npm', 'run', 'knip'])
  await stage('npm test', ['npm', 'test', ...reportTo('test.json')], { reports: ['test.json'], limit: 10 * minute })
  if (existsSync(join(root, 'examples/demo.ts'))) await stage('demo', ['npm', 'run', 'demo'])
  const examples = existsSync(join(root, 'examples')) ? readdirSync(join(root, 'examples')) : []
  for (const name of examples.filter((name) => name.endsWith('.ts') && name !== 'demo.ts').sort()) {
    await stage(`examples/${name}`, ['npx', '--no-install', 'tsx', `examples/${name}`])
  }
  await stage('package', ['npm', 'run', 'test:package', ...reportTo('package.json')], { reports: ['package.json'] })
  await stage('real filesystems', ['npm', 'run', 'test:real'], {
    reports: ['real-host.json', 'real-uml.json', 'real-backends.json'],
    limit: 28 * minute,
  })
  for (const version of newerNodes) await checkUnderNode(version)
}

async function checkUnderNode(version) {
  const name = `node-linux-${process.arch}`
  const prefix = join(scratch, `node-${version}`)
  const install = ['npm', 'install', '--no-audit', '--no-fund', '--prefix', prefix, `${name}@${version}`]
  if (!(await stage(`Node ${version}: install`, install))) return
  const env = {
    ...environment,
    PATH: [join(prefix, 'node_modules', name, 'bin'), environment.PATH].join(delimiter),
  }
  const report = `test-node-${version}.json`
  await stage(`Node ${version}: version`, ['node', '--version'], { env })
  await stage(`Node ${version}: npm test`, ['npm', 'test', ...reportTo(report)], {
    ...{ env, reports: [report], limit: 10 * minute },
  })
}

try {
  await checkAll()
} catch (error) {
  fail('this script', error.stack)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
if (total.passed === 0) fail('everything', 'no test passed')

console.log(`\n━━━ summary\n${summary.join('\n')}\n`)
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed === 0 ? 0 : 1
