import { describe, expect, test } from 'vitest'
import {
  growBackend,
  growFilesystem,
  growLayers,
  locateDevice,
  locatePath,
  observeBackend,
  observeLayers,
  pipeline,
} from '../../src/index.ts'
import { bytes, GiB } from '../../src/size.ts'
import { scriptedProvider, virtualClock } from '../../src/testing/index.ts'
import { type StackedDevice, type StackedNode, stackedNode } from './stacked-node.ts'

type Node = { readonly node: StackedNode; readonly nodeOnly: ReturnType<typeof pipelines>['nodeOnly'] }

function pipelines(node: StackedNode) {
  const own = { layers: node.layers, resizers: [node.resizer] }
  const whole = pipeline()
    .use(observeBackend())
    .use(locateDevice())
    .use(observeLayers(own))
    .use(growBackend())
    .use(growLayers())
    .use(growFilesystem())
  const nodeOnly = pipeline().use(locatePath()).use(observeLayers(own)).use(growLayers()).use(growFilesystem())
  return { whole, nodeOnly }
}

function nodeWith(devices: readonly StackedDevice[], filesystem: bigint): Node {
  const node = stackedNode(
    devices.map((device) => ({ ...device })),
    filesystem,
  )
  return { node, nodeOnly: pipelines(node).nodeOnly }
}

const disk = (id: string, size: bigint): StackedDevice => ({ id, kind: 'device', below: [], size })
/** A disk with a partition, encrypted, and a logical volume that also has a second disk. */
const graph: readonly StackedDevice[] = [
  disk('a', 10n * GiB),
  disk('b', 5n * GiB),
  { id: 'a1', kind: 'partition', below: ['a'], size: 10n * GiB },
  { id: 'crypt', kind: 'luks', below: ['a1'], size: 10n * GiB, encrypted: true },
  { id: 'lv', kind: 'lvm', below: ['crypt', 'b'], size: 15n * GiB },
]

function volumeOn(devices: readonly StackedDevice[], filesystem: bigint, hinted: readonly string[]) {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({ clock, volumes: { v1: { size: '10Gi', growthTime: 1000 } } })
  const { node } = nodeWith(devices, filesystem)
  node.hinted = hinted
  const asked: string[] = []
  const luksKey = async ({ host, path, uuid }: { host: string; path: string; uuid: string }): Promise<string> => {
    asked.push(`${host} ${path} ${uuid}`)
    return 'open sesame'
  }
  const input = { volume: provider.volume('v1'), host: node.host, path: '/data', clock, random: () => 0.5 }
  return { node, provider, input, luksKey, asked, whole: pipelines(node).whole }
}

describe('a graph of layers over a volume', () => {
  test('grows only where the volume is, each layer by what those below it will have', async () => {
    const { node, whole, input, luksKey, asked } = volumeOn(graph, 15n * GiB, ['a'])
    const report = await whole.run({ ...input, to: '20Gi', luksKey })
    expect(report.layers.map(({ id, after }) => [id, after])).toEqual([
      ['volume:scripted:v1', 20n * GiB],
      ['device:a', 20n * GiB],
      ['partition:a1', 20n * GiB],
      ['luks:crypt', 20n * GiB],
      ['device:b', 5n * GiB],
      ['lvm:lv', 25n * GiB],
      ['filesystem:lv', 25n * GiB],
    ])
    expect(report.actions.map(({ id }) => id)).toEqual([
      ...['volume:scripted:v1', 'device:a', 'partition:a1', 'luks:crypt', 'lvm:lv', 'filesystem:lv'],
    ])
    expect(node.contexts.get('b')).toEqual({ available: 5n * GiB, offline: false })
    const lv = node.contexts.get('lv')
    expect(lv?.below).toEqual(
      new Map([
        ['crypt', 20n * GiB],
        ['b', 5n * GiB],
      ]),
    )
    expect(lv?.onVolume).toEqual(new Set(['crypt']))
    // Of the second disk the backend cannot say who has it.
    expect(node.contexts.get('filesystem')?.backendUsers).toBeUndefined()
    expect(asked).toEqual(['sim /dev/crypt uuid of crypt'])
    expect(node.inputs).toEqual(['open sesame', 'open sesame'])
    expect(node.executed[0]).toEqual(['prove', 'crypt'])
  })

  test('shows the layers below each layer', async () => {
    const { whole, input, luksKey } = volumeOn(graph, 15n * GiB, ['a'])
    const planned = await whole.plan({ ...input, to: '20Gi', luksKey })
    expect(planned.layers.map(({ id, below }) => [id, below])).toContainEqual(['lvm:lv', ['luks:crypt', 'device:b']])
  })

  test('several paths to the volume are one disk', async () => {
    const paths: readonly StackedDevice[] = [
      ...[disk('a', 10n * GiB), disk('b', 10n * GiB)],
      { id: 'map', kind: 'multipath', below: ['a', 'b'], size: 10n * GiB },
    ]
    const { whole, input, node } = volumeOn(paths, 10n * GiB, ['a', 'b'])
    const report = await whole.run({ ...input, to: '20Gi' })
    expect(report.layers.map(({ after }) => after)).toEqual(Array(5).fill(20n * GiB))
    expect(node.contexts.get('filesystem')?.backendUsers).toBeDefined()
  })

  test('a volume that is not below is refused', async () => {
    const { whole, input, node } = volumeOn([disk('other', GiB), ...graph], 15n * GiB, ['other'])
    await expect(whole.run({ ...input, to: '20Gi' })).rejects.toMatchObject({ code: 'identity-mismatch' })
    expect(node.executed).toEqual([])
  })
})

describe('the key of an encrypted layer', () => {
  test('is asked for before anything is touched, and refused when it does not open the layer', async () => {
    const { whole, input, node, provider } = volumeOn(graph, 15n * GiB, ['a'])
    const run = whole.run({ ...input, to: '20Gi', luksKey: async () => 'wrong' })
    await expect(run).rejects.toMatchObject({ code: 'key-rejected', layer: 'luks', outcome: 'unchanged' })
    expect(node.executed).toEqual([['prove', 'crypt']])
    expect(provider.calls.expand).toBe(0)
  })

  test('is missing: the plan says so', async () => {
    const { whole, input, node, provider } = volumeOn(graph, 15n * GiB, ['a'])
    const planned = await whole.plan({ ...input, to: '20Gi' })
    expect(planned.findings).toMatchObject([{ code: 'key-needed', severity: 'blocker', target: 'luks:crypt' }])
    expect(node.executed).toEqual([])
    expect(provider.calls.expand).toBe(0)
  })

  test('is not asked for when the layer is large enough', async () => {
    const { whole, input, node, luksKey, asked } = volumeOn(graph, 15n * GiB, ['a'])
    expect((await whole.run({ ...input, to: '10Gi', luksKey })).changed).toBe(false)
    expect(asked).toEqual([])
    expect(node.executed).toEqual([])
  })

  test('is in no plan, event, report or error', async () => {
    const { whole, input, luksKey } = volumeOn(graph, 15n * GiB, ['a'])
    const run = whole.run({ ...input, to: '20Gi', luksKey })
    const events: unknown[] = []
    for await (const event of run) events.push(event)
    const text = JSON.stringify([events, await run], (_key, value) => (typeof value === 'bigint' ? `${value}` : value))
    expect(text).not.toContain('sesame')
    expect(text).not.toContain(`${new TextEncoder().encode('open sesame')}`.slice(0, 20))
  })

  test('has to be bytes or a text', async () => {
    const { whole, input } = volumeOn(graph, 15n * GiB, ['a'])
    const luksKey = (async () => 7) as unknown as () => Promise<string>
    await expect(whole.run({ ...input, to: '20Gi', luksKey })).rejects.toThrow(/luksKey/)
  })
})

describe('what `to` speaks of without a volume', () => {
  const larger: readonly StackedDevice[] = [{ ...disk('a', 40n * GiB) }, ...graph.slice(1)]
  const luksKey = async (): Promise<string> => 'open sesame'

  test('the logical volume, which takes exactly that much', async () => {
    const { node, nodeOnly } = nodeWith(larger, 15n * GiB)
    const clock = virtualClock({ auto: true })
    const report = await nodeOnly.run({ host: node.host, path: '/data', to: '20Gi', luksKey, clock })
    expect(report.layers.slice(-2).map(({ after }) => after)).toEqual([20n * GiB, 20n * GiB])
    expect(node.contexts.get('lv')?.wanted).toBe(20n * GiB)
    expect(node.contexts.get('a1')?.wanted).toBeUndefined()
  })

  test('what a layer can only have in whole units is there already when it is asked for again', async () => {
    const node = stackedNode(
      larger.map((device) => ({ ...device })),
      15n * GiB,
    )
    const layers = node.layers.map((layer) => ({ ...layer, granularity: () => bytes(8n * GiB) }))
    const whole = pipeline()
      .use(locatePath())
      .use(observeLayers({ layers, resizers: [node.resizer] }))
      .use(growLayers())
      .use(growFilesystem())
    const request = { host: node.host, path: '/data', to: '20Gi', luksKey, clock: virtualClock({ auto: true }) }
    expect((await whole.run(request)).layers.at(-1)?.after).toBe(24n * GiB)
    expect((await whole.run(request)).changed).toBe(false)
    // What is no whole number of units, and enough, is not grown to the next one.
    const odd = { ...request, to: bytes(23n * GiB) }
    expect((await whole.run(odd)).changed).toBe(false)
  })

  test('the partition, where there is no logical volume', async () => {
    const { node, nodeOnly } = nodeWith(larger.slice(0, 3), 10n * GiB)
    const clock = virtualClock({ auto: true })
    const report = await nodeOnly.run({ host: node.host, path: '/data', by: '2Gi', clock })
    expect(report.layers.map(({ id, after }) => [id, after])).toEqual([
      ['device:a', 40n * GiB],
      ['partition:a1', 12n * GiB],
      ['filesystem:a1', 12n * GiB],
    ])
  })

  test.each([
    ['more than there is', '80Gi', 'device-too-small', 'lvm'],
    ['less than there is', '1Gi', 'would-shrink', 'lvm'],
  ])('%s', async (_name, to, code, layer) => {
    const { node, nodeOnly } = nodeWith(larger, 15n * GiB)
    const clock = virtualClock({ auto: true })
    const planned = await nodeOnly.plan({ host: node.host, path: '/data', to, luksKey, clock })
    expect(planned.findings.find((finding) => finding.code === code)).toMatchObject({ severity: 'blocker', layer })
  })

  test('fill lets each layer fill what is there', async () => {
    const { node, nodeOnly } = nodeWith(larger, 15n * GiB)
    const clock = virtualClock({ auto: true })
    await nodeOnly.run({ host: node.host, path: '/data', to: 'fill', luksKey, clock })
    expect(node.filesystem).toBe(bytes(45n * GiB))
  })
})
