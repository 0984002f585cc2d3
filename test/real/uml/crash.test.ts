import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildPrograms } from '../../../campaign/crash/bundle.ts'
import { ioErrors } from '../../../campaign/crash/io-errors.ts'
import { killing } from '../../../campaign/crash/kills.ts'
import { powerCuts } from '../../../campaign/crash/power.ts'
import { type SubjectName, subjects } from '../../../campaign/crash/subjects.ts'
import { scratchDirectory } from '../support/disk.ts'

// The quick part of `npm run campaign -- crash`; docs/reliability/crash.md has the figures of the whole.

const seed = 11
/** Milliseconds, on a machine that others use as well. */
const patience = 900_000
let program = ''

beforeAll(async () => {
  program = (await buildPrograms(join(tmpdir(), 'crash-programs'))).grow
}, patience)

function given(name: SubjectName): {
  readonly subject: (typeof subjects)[number]
  readonly seed: number
  readonly directory: string
  readonly say: () => void
} {
  const subject = subjects.find((candidate) => candidate.name === name)
  if (subject === undefined) throw new Error(`There is no ${name}.`)
  return { subject, seed, directory: scratchDirectory(tmpdir()), say: () => {} }
}

test(
  'killed at any boundary while it grows ext4 in use, the library completes the growth in the next run',
  async () => {
    const { failures, boundaries } = await killing({ ...given('ext4'), program, perBoundary: 1, atRandom: 1 })
    expect(failures).toEqual([])
    const changes = ['before expand the volume', 'before losetup', 'before resize2fs', 'after resize2fs']
    expect(boundaries.map(({ at }) => at)).toEqual(expect.arrayContaining(changes))
    expect(boundaries.map(({ kills }) => kills)).toEqual(boundaries.map(() => 1))
  },
  patience,
)

test(
  'after a power cut while ext4 in use grows, nothing that was synced is lost, and the next run completes the growth',
  async () => {
    const { failures, states, sizes } = await powerCuts({ ...given('ext4'), states: 12, ofRecording: 12 })
    expect(failures).toEqual([])
    expect(states.flush + states.prefix + states.reordered).toBe(12)
    expect(sizes.old).toBeGreaterThan(0)
    expect(sizes.new).toBeGreaterThan(0)
  },
  patience,
)

test(
  'a disk that fails while ext4 on it grows is called so, and the growth is completed once it works again',
  async () => {
    const { failures, ended } = await ioErrors({ ...given('ext4'), runs: 1 })
    expect(failures).toEqual([])
    expect(Object.keys(ended).some((how) => how.includes('io-error'))).toBe(true)
  },
  patience,
)
