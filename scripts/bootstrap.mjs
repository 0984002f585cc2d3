// Makes the other scripts work on a fresh clone: installs the locked dependencies unless exactly they are there. Builtins only.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)

const packagesIn = (file) => {
  try {
    return JSON.parse(readFileSync(new URL(file, root), 'utf8')).packages
  } catch {
    return undefined
  }
}

const locked = packagesIn('package-lock.json')
const installed = packagesIn('node_modules/.package-lock.json')

const complete =
  installed !== undefined &&
  Object.entries(locked).every(
    // Optional ones are for other platforms as well, and are absent there.
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  )

if (!complete) {
  console.error('Installing the locked dependencies (npm ci) …')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(status ?? 1)
}
