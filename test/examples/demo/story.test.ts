import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Cleanup } from '../../../examples/demo/cleanup.ts'
import { ext4 } from '../../../examples/demo/ext4.ts'
import { screenOn } from '../../../examples/demo/screen.ts'
import { Proofs, type Stage } from '../../../examples/demo/stage.ts'
import { showFilesystem } from '../../../examples/demo/story.ts'
import { showVolumeAlone } from '../../../examples/demo/volume-alone.ts'

let directory = ''
let output = ''
let stage: Stage

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'story-'))
  output = ''
  const write = (text: string): void => {
    output += text
  }
  const screen = screenOn({ write }, true)
  const signal = new AbortController().signal
  stage = { screen, proofs: new Proofs(screen), cleanup: new Cleanup(), directory, signal }
})
afterEach(() => rm(directory, { recursive: true }))

test('a filesystem whose tool is missing is left out, with the package that brings it', async () => {
  const outcome = await showFilesystem(stage, { ...ext4, makeTool: 'mkfs.missing' })
  expect(outcome).toMatch(/^left out: mkfs.missing is missing \(package e2fsprogs\)/)
  expect(output).toContain('mkfs.missing is not installed; it is in the package e2fsprogs.')
  expect(stage.proofs).toMatchObject({ passed: 0, failed: 0 })
  expect(await readdir(directory)).toEqual([])
})

test('a volume alone is grown without any tool', async () => {
  await showVolumeAlone(stage)
  expect(stage.proofs).toMatchObject({ passed: 1, failed: 0 })
  expect(output).toMatch(/volume +128 MiB +1 GiB/)
  expect(output).toContain('backend-only')
})

test('a proof that fails is counted and said', () => {
  stage.proofs.add('df', true, 'larger')
  stage.proofs.add('checksums', false, '3 of 4')
  expect(stage.proofs).toMatchObject({ passed: 1, failed: 1 })
  expect(output).toMatch(/✓ df +larger\n +✗ checksums +3 of 4\n/)
})
