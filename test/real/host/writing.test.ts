import { test } from 'vitest'
import { GiB, MiB } from '../../../src/size.ts'
import { expectGrowthUnderWriter } from '../support/under-writer.ts'

test('XFS grows from 400 MiB to 40 GiB under a writer: the volume, the loop device and the filesystem', async () => {
  await expectGrowthUnderWriter({ mkfs: ['mkfs.xfs', '-q', '-f'], family: 'xfs', from: 400n * MiB, to: 40n * GiB })
})
