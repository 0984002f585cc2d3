import { describe, expect, test } from 'vitest'
import type { ExpansionEvent, ExpansionRun, Host, VolumeExpansionError } from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { failureOf, scene } from './expansion.ts'
import type { SimulatedNode } from './simulated-node.ts'

interface Seen {
  readonly node: SimulatedNode
  readonly events: readonly ExpansionEvent[]
  readonly run: ExpansionRun
}

/** Grows a filesystem whose disk is changed right before the act, and before each further one as `again` has it. */
async function surprised(change: (node: SimulatedNode) => void, again = change): Promise<Seen> {
  const { nodeOnly, node, clock } = scene()
  node.device = 20n * GiB
  let acts = 0
  const host: Host = {
    ...node.host,
    batch(items) {
      if (items.some((item) => 'exec' in item)) {
        acts += 1
        if (acts === 1) change(node)
        else again(node)
      }
      return node.host.batch(items)
    },
  }
  const run = nodeOnly.run({ host, path: '/data', to: 'fill', clock })
  const events: ExpansionEvent[] = []
  try {
    for await (const event of run) events.push(event)
  } catch {
    // The run itself tells.
  }
  return { node, events, run }
}

async function refusal(change: (node: SimulatedNode) => void): Promise<VolumeExpansionError> {
  const { node, run } = await surprised((changed) => {
    changed.content = '01'
    change(changed)
  })
  const error = await failureOf(run)
  expect(node.executed).toEqual([])
  expect(error.outcome).toBe('unchanged')
  expect(error.remedy).toMatch(/\w/)
  return error
}

describe('a storage that has changed between the look and the act', () => {
  test('is looked at again, and grown when it is the same disk', async () => {
    const { node, events, run } = await surprised(
      (changed) => {
        changed.content = '01'
      },
      () => {},
    )
    expect((await run).changed).toBe(true)
    expect(node.filesystem).toBe(20n * GiB)
    expect(node.executed).toEqual([['growfs', '/dev/sim0']])
    const waits = events.flatMap((event) => (event.type === 'waiting' ? [event.reason] : []))
    expect(waits).toEqual([expect.stringMatching(/has changed since it was looked at/)])
  })

  test('is not grown again when somebody has grown it meanwhile', async () => {
    const { node, run } = await surprised((changed) => {
      changed.content = '01'
      changed.filesystem = 20n * GiB
    })
    expect((await run).layers.map(({ after }) => after)).toEqual([20n * GiB, 20n * GiB])
    expect(node.executed).toEqual([])
  })

  test('is waited for while a tool holds it', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    const run = nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })
    for await (const event of run) {
      if (event.type === 'action-started') {
        node.content = '01'
        node.holders = [{ pid: 99, command: 'sfdisk' }]
      }
      if (event.type === 'waiting') {
        node.holders = []
        node.content = '02'
      }
    }
    expect((await run).changed).toBe(true)
    expect(node.executed).toEqual([['growfs', '/dev/sim0']])
  })

  test('is looked at once more when it was in the middle of being written', async () => {
    const { node, run } = await surprised(
      (changed) => {
        changed.content = '01'
        changed.tornReads = 2
      },
      () => {},
    )
    expect((await run).changed).toBe(true)
    expect(node.executed).toHaveLength(1)
  })

  test('is refused when it changes each time', async () => {
    let count = 1
    const { node, run } = await surprised((changed) => {
      count += 1
      changed.content = `0${count}`
    })
    expect(await failureOf(run)).toMatchObject({ code: 'identity-mismatch', layer: 'filesystem', outcome: 'unchanged' })
    expect(node.executed).toEqual([])
    expect(count).toBeLessThan(9)
  })

  test.each<[string, (node: SimulatedNode) => void]>([
    [
      'another disk is in its place',
      (node) => {
        node.diskseq = '8'
      },
    ],
    [
      'another filesystem is on it',
      (node) => {
        node.uuid = 'u-2'
      },
    ],
    [
      'another disk with a larger copy of the filesystem is in its place',
      (node) => {
        node.diskseq = '8'
        node.filesystem = 20n * GiB
      },
    ],
  ])('is refused when %s', async (_what, change) => {
    expect((await refusal(change)).code).toBe('identity-mismatch')
  })

  test('is refused with what now blocks it', async () => {
    const error = await refusal((node) => {
      node.findings = [
        { code: 'read-only', severity: 'blocker', layer: 'filesystem', message: 'It is read-only.', remedy: 'Why?' },
      ]
    })
    expect(error).toMatchObject({ code: 'read-only', message: 'It is read-only.', remedy: 'Why?' })
  })

  test('is refused when the growth would have an effect that nobody was told of', async () => {
    const error = await refusal((node) => {
      node.findings = [{ code: 'ext4-lazy-init', severity: 'warning', layer: 'filesystem', message: 'It goes on.' }]
    })
    expect(error).toMatchObject({ code: 'stale-plan' })
  })

  test('is refused when its superblock stays damaged', async () => {
    const error = await refusal((node) => {
      node.tornReads = 1000
    })
    expect(error.code).toMatch(/filesystem-damaged|identity-mismatch/)
  })
})
