import type { Random } from './random.ts'
import { mutatedText, nastyText } from './text.ts'

export type Tree = null | boolean | number | string | Raw | readonly Tree[] | { readonly [name: string]: Tree }

/** Text that stands in a document as it is, such as a number that no JavaScript number can be. */
export class Raw {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const numbers: readonly string[] = [
  ...[
    '0',
    '-0',
    '1',
    '-1',
    '2',
    '7',
    '10',
    '0.5',
    '1.5',
    '-1.5',
    '1e3',
    '1E+2',
    '10e-1',
    '1e400',
    '-1e400',
    '5e-324',
    '0.0',
    '3.0',
  ],
  ...[
    '2147483647',
    '2147483648',
    '4294967295',
    '4294967296',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
  ],
  ...[
    '9007199254740991.4',
    '1073741824.0000000001',
    '8589934591',
    '8589934592',
    '9223372036854775807',
    '9223372036854775808',
  ],
  ...[
    '18446744073709551615',
    '18446744073709551616',
    '99999999999999999999',
    '1000000000000000000000',
    '123456789012345678901234567890',
  ],
]

/** A value of any type that a field is not expected to have. */
export function nastyValue(random: Random, depth = 0): Tree {
  switch (random.below(depth > 2 ? 7 : 10)) {
    case 0:
      return null
    case 1:
      return random.oneIn(2)
    case 2:
    case 3:
      return new Raw(random.pick(numbers))
    case 4:
      return random.pick(numbers)
    case 5:
      return random.pick([
        '',
        'NaN',
        'Infinity',
        '-Infinity',
        'null',
        '0x10',
        ' 10',
        '10 ',
        '1_0',
        '٣',
        '1e3',
        '10GiB',
        'true',
        '\0',
      ])
    case 6:
      return nastyText(random, 3)
    case 7:
      return random.list(0, 3, () => nastyValue(random, depth + 1))
    case 8:
      return Object.fromEntries(
        random.list(0, 3, () => [
          random.pick(['size', 'name', 'id', '__proto__', 'constructor', 'toString', 'length', '']),
          nastyValue(random, depth + 1),
        ]),
      )
    default: {
      let deep: Tree = null
      for (let level = random.between(1, random.oneIn(50) ? 600 : 20); level > 0; level -= 1)
        deep = random.oneIn(2) ? [deep] : { deep }
      return deep
    }
  }
}

/** A document with some of its fields changed in type or value, missing, twice, in each other's place. */
export function mutatedTree(random: Random, tree: Tree): Tree {
  let changed = tree
  const times = random.oneIn(12) ? 0 : random.between(1, 3)
  for (let round = 0; round < times; round += 1) {
    const paths = pathsOf(changed)
    changed = changedAt(changed, random.pick(paths), random)
  }
  return changed
}

type Path = readonly (string | number)[]

function pathsOf(tree: Tree, path: Path = []): readonly Path[] {
  if (tree === null || typeof tree !== 'object' || tree instanceof Raw) return [path]
  const entries = Array.isArray(tree) ? [...(tree as readonly Tree[]).entries()] : Object.entries(tree)
  return [
    path,
    ...entries.slice(0, 40).flatMap(([name, value]) => (path.length > 12 ? [] : pathsOf(value, [...path, name]))),
  ]
}

function changedAt(tree: Tree, path: Path, random: Random): Tree {
  const [step, ...rest] = path
  if (step === undefined) return replaced(tree, random)
  if (Array.isArray(tree)) {
    const items = [...(tree as readonly Tree[])]
    const index = Number(step)
    if (rest.length > 0) items[index] = changedAt(items[index] ?? null, rest, random)
    else {
      const item = items[index] ?? null
      items.splice(index, 1, ...random.pick([[], [item, item], [replaced(item, random)], [replaced(item, random)]]))
    }
    return items
  }
  if (tree === null || typeof tree !== 'object' || tree instanceof Raw) return replaced(tree, random)
  const entries = Object.entries(tree)
  return Object.fromEntries(
    entries.flatMap(([name, value]): [string, Tree][] => {
      if (name !== step) return [[name, value]]
      if (rest.length > 0) return [[name, changedAt(value, rest, random)]]
      if (random.oneIn(5)) return []
      if (random.oneIn(12)) return [[mutatedText(random, name), value]]
      return [[name, replaced(value, random)]]
    }),
  )
}

function replaced(value: Tree, random: Random): Tree {
  if (random.oneIn(4)) {
    if (typeof value === 'string') return mutatedText(random, value)
    if (typeof value === 'number')
      return new Raw(random.oneIn(2) ? `-${value}` : `${value}${random.pick(['0', '.5', 'e1', '.0', '000000000000'])}`)
    if (value !== null && typeof value === 'object') return [value]
  }
  if (random.oneIn(6) && (typeof value === 'number' || value instanceof Raw))
    return `${value instanceof Raw ? value.text : value}`
  if (random.oneIn(6) && typeof value === 'string' && /^\d+$/.test(value)) return new Raw(value)
  return nastyValue(random)
}

/** As JSON; now and then with a member twice, or with the text itself damaged. */
export function jsonOf(random: Random, tree: Tree): string {
  let text = soundJson(tree)
  if (random.oneIn(6)) {
    const members = [...text.matchAll(/"(\w+)":("[^"\\]*"|-?\d+|true|false|null)(?=[,}])/g)]
    if (members.length > 0) {
      const [member, name = ''] = random.pick(members)
      const at = text.indexOf(member)
      const twin = `"${name}":${soundJson(nastyValue(random, 2))}`
      text = random.oneIn(2)
        ? `${text.slice(0, at)}${twin},${text.slice(at)}`
        : `${text.slice(0, at)}${member},${twin}${text.slice(at + member.length)}`
    }
  }
  return random.oneIn(8) ? mutatedText(random, text) : text
}

/** A document as it is. */
export function soundJson(tree: Tree): string {
  if (tree instanceof Raw) return tree.text
  if (tree === null || typeof tree !== 'object') return JSON.stringify(tree)
  if (Array.isArray(tree)) return `[${(tree as readonly Tree[]).map(soundJson).join(',')}]`
  return `{${Object.entries(tree)
    .map(([name, value]) => `${JSON.stringify(name)}:${soundJson(value)}`)
    .join(',')}}`
}

/** The tree as JavaScript values, for ports that carry objects and no text. */
export function plainOf(tree: Tree): unknown {
  if (tree instanceof Raw) return Number(tree.text)
  if (tree === null || typeof tree !== 'object') return tree
  if (Array.isArray(tree)) return (tree as readonly Tree[]).map(plainOf)
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, plainOf(value)]))
}

/** Bytes with some of them changed: bits, whole fields at the ends of their ranges, runs of one value, pieces in another's place. */
export function mutateBytes(random: Random, bytes: Uint8Array, from = 0, to: number = bytes.length): void {
  for (let times = random.between(1, 4); times > 0; times -= 1) {
    const at = from + random.below(to - from)
    const length = Math.min(random.pick([1, 2, 4, 8, 8, 16]), to - at)
    const other = from + random.below(to - from)
    switch (random.below(6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
        break
      case 1:
        bytes[at] = random.u32() & 0xff
        break
      case 2:
        bytes.fill(random.pick([0, 0xff, 0x7f, 0x80]), at, at + length)
        break
      case 3:
        bytes.set(random.bytes(length), at)
        break
      case 4:
        bytes.copyWithin(at, other, Math.min(to, other + length))
        break
      default: {
        const [little, value] = [random.oneIn(2), random.whole(length * 8)]
        for (let index = 0; index < length; index += 1) {
          const shift = BigInt(8 * (little ? index : length - 1 - index))
          bytes[at + index] = Number((value >> shift) & 0xffn)
        }
      }
    }
  }
}
