import { describe, expect, test } from 'vitest'
import { layerCases } from '../../src/conformance/index.ts'
import { layerSetup } from '../layers/device/snapshots.ts'

describe('the device layer', () => {
  test.each(layerCases(layerSetup()))('$name', ({ run }) => run())
})

describe('layerCases', () => {
  test('names every case once, so that a report can name it', () => {
    const names = layerCases(layerSetup()).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  test('holds a layer to the context that the setup gives', async () => {
    // Without a volume there is nothing that a device could follow.
    const cases = layerCases({ ...layerSetup(), context: { offline: false } })
    const grows = cases.filter(({ name }) => name.startsWith('grow: becomes larger'))
    expect(grows.length).toBeGreaterThan(0)
    for (const { run } of grows) await expect(run()).rejects.toThrow(/there is more room/)
  })
})
