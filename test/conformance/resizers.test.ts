import { describe, test } from 'vitest'
import { resizerCases } from '../../src/conformance/index.ts'
import { ext } from '../../src/filesystems/ext/index.ts'
import { extSetup } from './mutants/resizers.ts'

const makers = [
  ['mkfs.ext4', '-q'],
  ['mkfs.ext4', '-q', '-b', '4096', '-O', '^64bit,^metadata_csum'],
  ['mkfs.ext3', '-q', '-b', '1024'],
  ['mkfs.ext2', '-q'],
] as const

describe.each(makers.map((mkfs) => ({ name: mkfs.join(' '), mkfs })))('$name', ({ mkfs }) => {
  test.each(resizerCases(extSetup(ext, ...mkfs)).map((each) => ({ ...each })))('$name', ({ run }) => run())
})
