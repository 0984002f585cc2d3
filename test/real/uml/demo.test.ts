import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProgram } from '../../examples/programs.ts'

const cwd = fileURLToPath(new URL('../../../', import.meta.url))

test('with every capability the demo grows ext4 and XFS while a writer runs on them', async () => {
  const { code, output, left } = await runProgram('examples/demo.ts', { cwd })
  expect({ code, left }, output).toEqual({ code: 0, left: [] })
  expect(output).toMatch(/✓ filesystem +resize2fs .*\(online\): 1 GiB/)
  expect(output).toMatch(/✓ filesystem +xfs_growfs .*\(online\): 1 GiB/)
  for (const [proof, times] of [
    [/✓ (e2fsck|xfs_repair) +the filesystem is clean/g, 2],
    [/✓ again .*nothing to do, 0 processes started/g, 2],
    [/✓ df /g, 2],
    [/✓ checksums +(\d+) of \1 files/g, 2],
    [/✓ records +(\d+) of \1 that/g, 2],
    [/held up .*for [\d.]+ m?s at worst/g, 2],
  ] as const) {
    expect(output.match(proof), output).toHaveLength(times)
  }
})
