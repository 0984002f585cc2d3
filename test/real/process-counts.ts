import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GrowthCase } from '../../bench/growth/cases.ts'
import { countedByNode } from '../../bench/growth/processes.ts'
import { ScratchVolume } from '../../bench/growth/volume.ts'
import { expand, localHost } from '../../src/index.ts'

/** What a growth of a mounted filesystem on the local host may cost, by the kernel that the test runs on. */
export function describeProcessCounts(filesystem: GrowthCase['filesystem']): void {
  describe(`processes that a mounted ${filesystem} costs`, () => {
    const host = localHost()
    const rounds = { growth: 0, nothingToDo: 0, stall: 0, cold: 0 }
    let directory: string
    let volume: ScratchVolume

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'process-counts-'))
      volume = new ScratchVolume(directory, { filesystem, online: true, from: 1, to: 2, rounds })
      volume.remake()
    })

    afterEach(() => {
      volume.dispose()
      rmSync(directory, { recursive: true })
    })

    const fill = (): PromiseLike<unknown> => expand({ host, path: volume.mountPoint, to: 'fill' })

    test('a growth starts one, verification included; a second call starts none', async () => {
      expect(await countedByNode(async () => await fill())).toBe(1)
      volume.requireGrown()
      expect(await countedByNode(async () => await fill())).toBe(0)
    })
  })
}
