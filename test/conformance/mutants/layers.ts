import { layerCases } from '../../../src/conformance/index.ts'
import { device } from '../../../src/layers/device/index.ts'
import type { Growth, Layer, LayerState } from '../../../src/layers/layer.ts'
import { type Bytes, MiB } from '../../../src/size.ts'
import { layerSetup } from '../../layers/device/snapshots.ts'
import type { Suite } from './mutant.ts'

interface BrokenLayer {
  readonly does: string
  readonly killedBy: string
  /** The part of the good one that is replaced. */
  readonly make: () => Partial<Layer>
}

const states =
  (change: (state: LayerState) => LayerState): (() => Partial<Layer>) =>
  () => ({ measure: (candidate, snapshot) => change(device.measure(candidate, snapshot)) })

const growths =
  (change: (growth: Growth, size: Bytes) => Growth): (() => Partial<Layer>) =>
  () => ({
    grow: (candidate, snapshot, context) => change(device.grow(candidate, snapshot, context), candidate.size),
  })

const broken: readonly BrokenLayer[] = [
  { does: 'detects everything', killedBy: 'detect: nothing else', make: () => ({ detect: () => true }) },
  { does: 'detects nothing', killedBy: 'detect: its own', make: () => ({ detect: () => false }) },
  {
    does: 'measures another kind',
    killedBy: 'measure: a state that can be relied on',
    make: states((state) => ({ ...state, kind: 'lvm' })),
  },
  {
    does: 'has no marks',
    killedBy: 'measure: a state that can be relied on',
    make: states((state) => ({ ...state, identity: {} })),
  },
  {
    does: 'measures by the clock',
    killedBy: 'measure: the same every time',
    make: () => {
      let calls = 0
      return {
        measure: (candidate, snapshot) => {
          calls += 1
          return { ...device.measure(candidate, snapshot), facts: { calls } }
        },
      }
    },
  },
  {
    does: 'gives every device one id',
    killedBy: 'measure: ids are unique',
    make: states((state) => ({ ...state, id: 'device' })),
  },
  {
    does: 'always finds something to do',
    killedBy: 'grow: nothing to do when it is full',
    make: growths((growth) => ({ ...growth, settles: true })),
  },
  {
    does: 'never grows',
    killedBy: 'grow: becomes larger',
    make: growths((growth, size) => ({ ...growth, after: size, commands: [] })),
  },
  {
    does: 'hopes for more than there is',
    killedBy: 'grow: becomes larger',
    make: growths((growth, size) =>
      growth.after > size ? { ...growth, after: (growth.after * 2n) as Bytes } : growth,
    ),
  },
  {
    does: 'becomes less when there is a lot of room',
    killedBy: 'grow: never less with more room',
    make: growths((growth, size) => ({ ...growth, after: growth.after > size + 100n * MiB ? size : growth.after })),
  },
  {
    does: 'shrinks to what is below it',
    killedBy: 'grow: never below what it is',
    make: () => ({
      grow: (candidate, snapshot, context) => ({
        ...device.grow(candidate, snapshot, context),
        after: context.available,
        findings: [],
      }),
    }),
  },
  {
    does: 'changes the snapshot',
    killedBy: 'grow: the same every time',
    make: () => ({
      grow: (candidate, snapshot, context) => {
        const growth = device.grow(candidate, snapshot, context)
        Object.assign(candidate, { size: growth.after })
        return growth
      },
    }),
  },
  {
    does: 'invents a code',
    killedBy: 'grow: findings that can be shown',
    make: growths((growth) => ({
      ...growth,
      findings: [{ code: 'bad-luck' as 'in-use', severity: 'note', layer: 'device', message: 'It is so.' }],
    })),
  },
  {
    does: 'writes a shell line',
    killedBy: 'grow: commands as argument vectors',
    make: growths((growth) => ({
      ...growth,
      commands: growth.commands.map(({ exec }) => ({ exec: [exec.join(' ')] })),
    })),
  },
  {
    does: 'does not say which tools it needs',
    killedBy: 'grow: commands as argument vectors',
    make: growths((growth) => ({ ...growth, tools: [] })),
  },
  {
    does: 'expects nothing before a command',
    killedBy: 'grow: expects the same device before a command',
    make: growths((growth) => ({ ...growth, expect: [] })),
  },
  {
    does: 'refuses when there is nothing to do',
    killedBy: 'grow: nothing to do when it is full',
    make: growths((growth, size) =>
      growth.after > size
        ? growth
        : {
            ...growth,
            findings: [{ code: 'at-maximum', severity: 'blocker', layer: 'device', message: 'There is no room.' }],
          },
    ),
  },
  {
    does: 'takes a size that it cannot see for 0',
    killedBy: 'measure: a state that can be relied on',
    make: states((state) => ({ ...state, size: 0n as Bytes })),
  },
  {
    does: 'shrinks in silence what has become too large',
    killedBy: 'grow: never below what it is',
    make: growths((growth) => ({ ...growth, findings: [] })),
  },
]

export const layers: Suite = {
  name: 'layer',
  isQuick: true,
  good: () => layerCases(layerSetup()),
  mutants: broken.map(({ make, killedBy, does }) => ({
    does,
    killedBy: [killedBy],
    cases: () => layerCases({ ...layerSetup(), layer: { ...device, ...make() } }),
  })),
}
