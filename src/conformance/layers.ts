import { isDeepStrictEqual } from 'node:util'
import { findingCodes } from '../findings.ts'
import type { DeviceSnapshot, ExecItem, StorageSnapshot } from '../hosts/host.ts'
import type { Growth, GrowthContext, Layer } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'
import { type ConformanceCase, holds } from './suite.ts'

/** A place in a snapshot. */
export interface LayerPlace {
  /** What it is, for the names of the cases. */
  readonly name: string
  readonly device: DeviceSnapshot
  readonly snapshot: StorageSnapshot
}

/** A device that is such a layer and that can be grown. */
export interface LayerExample extends LayerPlace {
  /** Bytes below it that it fills exactly as it is now. */
  readonly full: Bytes
  /** Bytes below it with which it can become larger. */
  readonly roomy: Bytes
  /** Whether it becomes larger without a command: by itself. Left out: false. */
  readonly follows?: boolean
}

/** What the suite needs in order to examine a layer. */
export interface LayerSetup {
  readonly layer: Layer
  readonly examples: readonly LayerExample[]
  /** Devices that are not such a layer. */
  readonly others: readonly LayerPlace[]
  /** Whether a volume is below, as a growth context says it. Left out: one that nobody else has. */
  readonly context?: Omit<GrowthContext, 'available'>
}

/** The cases that every {@link Layer} has to pass. */
export function layerCases(setup: LayerSetup): readonly ConformanceCase[] {
  const { layer, examples, others } = setup
  const growing: Growing = (example, available) => growth(setup, example, available)
  return [
    ...others.map((place) => named('detect: nothing else', place, (own) => notDetected(layer, own))),
    ...examples.flatMap((example) => [
      named('detect: its own', example, (own) => detected(layer, own)),
      named('measure: a state that can be relied on', example, (own) => measured(layer, own)),
      named('measure: the same every time', example, (own) =>
        untouched(own, () => layer.measure(own.device, own.snapshot)),
      ),
      named('grow: nothing to do when it is full', example, (own) => idle(layer, own, growing(own, own.full))),
      named('grow: becomes larger', example, (own) => grows(layer, own, growing(own, own.roomy))),
      named('grow: never less with more room', example, (own) => monotone(own, growing)),
      named('grow: never below what it is', example, (own) => neverBelow(layer, own, growing)),
      named('grow: the same every time', example, (own) => untouched(own, () => growing(own, own.roomy))),
      named('grow: findings that can be shown', example, (own) => findings(own, growing)),
      named('grow: commands as argument vectors', example, (own) => commands(growing(own, own.roomy))),
      named('grow: expects the same device before a command', example, (own) => expects(growing(own, own.roomy))),
    ]),
    { name: 'measure: ids are unique', run: async () => uniqueIds(layer, examples) },
  ]
}

type Growing = (example: LayerExample, available: bigint) => Growth

/** Each case has a copy of its own, so that a layer that changes what it is given cannot hide that from the case that looks for it. */
function named<Place extends LayerPlace>(name: string, place: Place, run: (own: Place) => void): ConformanceCase {
  return { name: `${name} (${place.name})`, run: async () => run(structuredClone(place)) }
}

function growth({ layer, context }: LayerSetup, example: LayerPlace, available: bigint): Growth {
  const surroundings = context ?? { offline: false, backendUsers: { known: true, others: [] } }
  return layer.grow(example.device, example.snapshot, { ...surroundings, available: available as Bytes })
}

function detected(layer: Layer, { device, snapshot }: LayerPlace): void {
  holds(layer.detect(device, snapshot) === true, `The layer ${layer.kind} did not detect ${device.path}.`)
}

function notDetected(layer: Layer, { device, snapshot }: LayerPlace): void {
  holds(layer.detect(device, snapshot) === false, `The layer ${layer.kind} took ${device.path} for one.`)
}

function measured(layer: Layer, { device, snapshot }: LayerPlace): void {
  const { id, kind, label, size, below, identity, facts } = layer.measure(device, snapshot)
  holds(kind === layer.kind, `The layer ${layer.kind} measured a ${kind}.`)
  holds(id !== '' && label !== '', 'A layer has an id and a label.')
  holds(typeof size === 'bigint' && size > 0n, 'A size is a bigint of bytes, and more than nothing.')
  holds(!below.includes(id), 'A layer is not below itself.')
  const marks = Object.values(identity)
  holds(marks.length > 0, 'Without a mark a plan cannot be held to what it was approved for.')
  holds(
    marks.every((mark) => typeof mark === 'string' && mark !== ''),
    'A mark is empty.',
  )
  for (const [name, fact] of Object.entries(facts)) {
    const safe = ['string', 'boolean', 'bigint'].includes(typeof fact) || Number.isFinite(fact)
    holds(safe, `The fact ${name} is not JSON-safe.`)
  }
}

function untouched({ device, snapshot }: LayerPlace, call: () => unknown): void {
  const before = structuredClone([device, snapshot])
  const [first, second] = [call(), call()]
  holds(isDeepStrictEqual(first, second), 'One question had two answers.')
  holds(isDeepStrictEqual([device, snapshot], before), 'The snapshot was changed.')
}

function idle(layer: Layer, { device, snapshot }: LayerPlace, { after, commands, settles, findings }: Growth): void {
  const { size } = layer.measure(device, snapshot)
  holds(after === size, `There is nothing to fill, and it would go from ${size} to ${after} bytes.`)
  holds(commands.length === 0 && settles !== true, 'There is nothing to do, and something would be done.')
  holds(
    findings.every(({ severity }) => severity !== 'blocker'),
    'There is nothing to do, and it is refused.',
  )
}

function grows(layer: Layer, example: LayerExample, { after, commands, findings, summary, settles }: Growth): void {
  const { size } = layer.measure(example.device, example.snapshot)
  const blockers = findings.filter(({ severity }) => severity === 'blocker')
  holds(blockers.length === 0, `It was refused: ${blockers[0]?.message}`)
  holds(after > size, `It has ${size} bytes, there is more room, and it would have ${after}.`)
  holds(after <= example.roomy, `It would have ${after} bytes, which is more than what is below it.`)
  const acts = commands.length > 0
  holds(acts !== (example.follows ?? false), acts ? 'It follows by itself, and has commands.' : 'It has no commands.')
  holds(!(acts || settles === true) || (summary !== undefined && summary !== ''), 'What is done has a summary.')
}

function monotone(example: LayerExample, growing: Growing): void {
  const afters = [example.full, example.roomy, example.roomy * 2n].map((available) => growing(example, available).after)
  holds(
    afters.every((after, index) => after >= (afters[index - 1] ?? 0n)),
    `With more room it became less: ${afters}.`,
  )
}

function neverBelow(layer: Layer, example: LayerExample, growing: Growing): void {
  const { size } = layer.measure(example.device, example.snapshot)
  for (const available of [0n, 1n, example.full / 2n]) {
    const { after, commands, findings, settles } = growing(example, available)
    holds(after === size, `With ${available} bytes below it would go from ${size} to ${after}.`)
    holds(commands.length === 0 && settles !== true, `With ${available} bytes below it would still do something.`)
    holds(
      findings.some(({ severity }) => severity === 'blocker'),
      `${available} bytes below are too few, and it did not refuse.`,
    )
  }
}

function findings(example: LayerExample, growing: Growing): void {
  for (const available of [0n, example.full, example.roomy]) {
    for (const { code, severity, message } of growing(example, available).findings) {
      holds(code in findingCodes, `${code} is not a finding's code.`)
      holds(['blocker', 'warning', 'note'].includes(severity), `${severity} is not a severity.`)
      holds(message !== '', 'A finding has a message.')
    }
  }
}

function commands({ commands, tools }: Growth): void {
  for (const { exec, lock = [] } of commands) {
    vector(exec)
    for (const path of lock) holds(path.startsWith('/'), `The lock ${path} is not an absolute path.`)
    const program = exec[0]?.split('/').at(-1)
    // What is not listed is not looked for, and would be missed only after the volume has grown.
    holds(
      tools.some(({ name }) => name === program),
      `${program} is not among the tools that are needed.`,
    )
  }
  for (const { name, packages } of tools) holds(name !== '' && packages !== '', 'A tool has a name, and packages.')
}

function vector(argv: ExecItem['exec']): void {
  holds(Array.isArray(argv) && argv.length > 0, 'A command is an argument vector with a program.')
  for (const argument of argv) {
    holds(typeof argument === 'string' && !argument.includes('\0'), 'An argument is a string without NUL.')
  }
  holds(argv[0] !== '' && !/\s/.test(argv[0] ?? ''), `${argv[0]} is not the name of a program.`)
}

function expects({ commands, expect }: Growth): void {
  holds(commands.length === 0 || expect.length > 0, 'Nothing makes sure that it still is the same device.')
  for (const item of expect) {
    holds(
      item.equals !== '' && item.equals === item.equals.trim(),
      'An expectation is a text without white space around it.',
    )
    holds(item.expect.path.startsWith('/'), `${item.expect.path} is not an absolute path.`)
  }
}

function uniqueIds(layer: Layer, examples: readonly LayerExample[]): void {
  const bySnapshot = new Map<StorageSnapshot, Map<string, string>>()
  for (const { device, snapshot } of examples) {
    const ids = bySnapshot.get(snapshot) ?? new Map<string, string>()
    bySnapshot.set(snapshot, ids)
    const { id } = layer.measure(device, snapshot)
    const other = ids.get(id)
    holds(other === undefined || other === device.id, `${device.id} and ${other} both have the id ${id}.`)
    ids.set(id, device.id)
  }
}
