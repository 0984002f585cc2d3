import { describe, expect, test } from 'vitest'
import { subjects } from '../../campaign/faults/subjects.ts'
import { only, trials } from '../../campaign/faults/trials.ts'
import { showExchange } from '../../campaign/faults/wire.ts'
import type { Subject } from '../../campaign/faults/world.ts'
import { handleOf, type VolumeExpander, volumeOf } from '../../src/expander.ts'
import type { VolumeExpansionError } from '../../src/index.ts'

function subject(name: string): Subject {
  const found = subjects.find((each) => each.name === name)
  if (found === undefined) throw new TypeError(`There is no ${name}.`)
  return found
}

/** The same world, with a provider that was tampered with. */
function tampered(
  original: Subject,
  tamper: (expander: VolumeExpander<unknown, unknown>) => Partial<VolumeExpander<unknown, unknown>>,
): Subject {
  return {
    ...original,
    make(wire, times) {
      const world = original.make(wire, times)
      return {
        ...{ growths: world.growths, size: () => world.size(), accepted: () => world.accepted() },
        grow: (to) => world.grow(to),
        volume(process) {
          const { expander, ref } = handleOf(world.volume(process))
          return volumeOf({ ...expander, ...tamper(expander) }, ref)
        },
      }
    },
  }
}

// The whole of it is `npm run campaign -- faults`.
describe('every promise holds', () => {
  test.each([
    ['scripted', 4, 200],
    ['rbd', 2, 200],
    ['file', 1, 200],
    ['cinder', 30, 40],
    ['glusterfs', 30, 20],
    ['glusterfs-heketi', 40, 20],
    ['rbd-dashboard', 20, 20],
    ['gce-pd', 20, 20],
    ['ebs', 20, 20],
  ])(
    '%s, one of %i enumerated trials, %i of chance',
    async (name, every, runs) => {
      const { failures, wronglyRefused, faults } = await trials(subject(name), { seed: 1, runs, every })
      expect(failures).toEqual([])
      expect(wronglyRefused).toBe(0)
      expect(faults).toBeGreaterThan(0)
    },
    120_000,
  )
})

test('a trial of chance is the same each time', async () => {
  const log = async (): Promise<readonly string[]> =>
    (await only(subject('cinder'), 5, 'random/11')).trial.exchanges.map(showExchange)
  expect(await log()).toEqual(await log())
})

describe('a broken promise is found', () => {
  const found = async (broken: Subject): Promise<string> => {
    const { failures } = await trials(broken, { seed: 1, runs: 0, every: 3 })
    return failures.flatMap((failure) => failure.broken).join('\n')
  }

  test('a provider that never admits that something may have happened', async () => {
    const broken = tampered(subject('file'), (expander) => ({
      async expand(ref, options) {
        await expander.expand(ref, options).catch((error: VolumeExpansionError) => {
          throw error.with({ outcome: 'unchanged' })
        })
      },
    }))
    expect(await found(broken)).toContain('"unchanged", and a growth was accepted')
  })

  test('a provider that asks for more than it was asked for', async () => {
    let asked = 0
    const broken = tampered(subject('file'), (expander) => ({
      async expand(ref, options) {
        asked += 1
        await expander.expand(
          ref,
          asked === 1 ? options : { ...options, size: (options.size * 2n) as typeof options.size },
        )
      },
    }))
    expect(await found(broken)).toContain('nobody')
  })

  test('a provider that does not stop its timers', async () => {
    const broken: Subject = {
      ...subject('file'),
      make(wire, times) {
        const { volume, ...world } = tampered(subject('file'), (expander) => ({
          async read(refs, options) {
            void times.own.sleep(3_600_000)
            return await expander.read(refs, options)
          },
        })).make(wire, times)
        return { ...world, volume }
      },
    }
    // Even without faults.
    await expect(found(broken)).rejects.toThrow('timers of the library are left')
  })
})
