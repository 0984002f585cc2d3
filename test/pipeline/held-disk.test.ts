import { describe, expect, test } from 'vitest'
import type { ExpansionEvent, Host } from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { scene } from './expansion.ts'

/** A host that shows who holds a mounted disk only when it is asked: looking is not free. */
function sparing(host: Host): Host {
  return {
    ...host,
    async batch(items) {
      const results = await host.batch(items)
      for (const [index, item] of items.entries()) {
        const result: unknown = results[index]
        if ('read' in item && item.read === 'storage' && item.locks !== true && isLook(result)) {
          for (const device of result.value.devices) device.locks = []
        }
      }
      return results
    },
  }
}

function isLook(result: unknown): result is { readonly value: { readonly devices: { locks: readonly unknown[] }[] } } {
  return typeof result === 'object' && result !== null && 'value' in result
}

describe('a mounted disk that a tool of a dead run holds', () => {
  async function run(leave: bigint): Promise<{ readonly events: ExpansionEvent[]; readonly executed: string[][] }> {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.holders = [{ pid: 99, command: 'growfs' }]
    const events: ExpansionEvent[] = []
    for await (const event of nodeOnly.run({ host: sparing(node.host), path: '/data', to: 'fill', clock })) {
      events.push(event)
      if (event.type !== 'waiting') continue
      node.holders = []
      node.filesystem = leave
    }
    expect(node.filesystem).toBe(20n * GiB)
    return { events, executed: node.executed }
  }

  test('is waited for, and not grown again when that tool has done it', async () => {
    const { events, executed } = await run(20n * GiB)
    expect(executed).toEqual([])
    expect(events.some(({ type }) => type === 'waiting')).toBe(true)
    expect(events.at(-1)?.type).toBe('succeeded')
  })

  test('is waited for, and grown when that tool has left it as it was', async () => {
    const { events, executed } = await run(10n * GiB)
    expect(executed).toEqual([['growfs', '/dev/sim0']])
    expect(events.at(-1)?.type).toBe('succeeded')
  })
})
