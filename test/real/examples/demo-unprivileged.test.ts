import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../../examples/programs.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
// The customary number of nobody: a user that owns nothing and has no right at all.
const nobody = { uid: 65_534, gid: 65_534 }
const needed = ['src', 'providers', 'examples', 'package.json', 'tsconfig.json']
const packages = ['tsx', 'esbuild', '@esbuild']

let checkout = ''
let node = process.execPath

beforeAll(() => {
  // Nobody need not be able to read this checkout, nor the node that runs these tests.
  checkout = mkdtempSync(join(realpathSync(tmpdir()), 'checkout-'))
  chmodSync(checkout, 0o755)
  for (const name of needed) cpSync(join(root, name), join(checkout, name), { recursive: true })
  for (const name of packages) {
    cpSync(join(root, 'node_modules', name), join(checkout, 'node_modules', name), { recursive: true })
  }
  if (spawnSync(node, ['--version'], { cwd: '/', ...nobody }).status !== 0) {
    node = join(checkout, 'node')
    copyFileSync(process.execPath, node)
    chmodSync(node, 0o755)
  }
  spawnSync('chmod', ['-R', 'a+rX', checkout])
})
afterAll(() => rmSync(checkout, { recursive: true, force: true }))

test('without any privilege the demo grows ext4 offline, plans XFS, says why, and leaves nothing behind', async () => {
  const directory = join(checkout, 'scratch')
  mkdirSync(directory, { mode: 0o700 })
  chownSync(directory, nobody.uid, nobody.gid)
  const env = { PATH: '/usr/bin:/bin' }
  const { code, output, left } = await runProgram('examples/demo.ts', {
    cwd: checkout,
    node,
    directory,
    env,
    ...nobody,
  })
  expect({ code, left }, output).toEqual({ code: 0, left: [] })
  expect(output).toMatch(/^ +may +an ordinary user without CAP_SYS_ADMIN/m)
  expect(output).toMatch(/✓ filesystem +resize2fs .*\(offline\): 1 GiB/)
  expect(output).toMatch(/✓ again .*nothing to do, 0 processes started/)
  expect(output).toMatch(/✓ e2fsck +the filesystem is clean/)
  expect(output).toMatch(/✓ checksums +16 of 16 files/)
  expect(output).toMatch(/✗ refused .*CAP_SYS_ADMIN.*\(permission-denied\)/)
  expect(output).toMatch(/✓ untouched/)
  expect(output).toMatch(/proofs +[1-9]\d* passed, 0 failed/)
})
