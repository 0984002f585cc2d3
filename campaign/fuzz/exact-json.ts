/** A number as it stands in a JSON text. */
export class NumberToken {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Exact = null | boolean | string | NumberToken | readonly Exact[] | ReadonlyMap<string, Exact>

/**
 * JSON by its grammar alone (RFC 8259), with numbers as they are written and the last of several members of one name: a reading of its own, against which the
 * library's is held. Undefined when it is no JSON.
 */
export function readExactly(text: string): Exact | undefined {
  const reader = new Reader(text)
  try {
    return reader.document()
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): Exact {
    const value = this.#value()
    this.#space()
    if (this.#at !== this.#text.length) throw new SyntaxError('more behind the end')
    return value
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? '.')) this.#at += 1
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #is(character: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #value(): Exact {
    this.#space()
    const next = this.#text[this.#at]
    if (next === '"') return this.#string()
    if (next === '{') return this.#object()
    if (next === '[') return this.#list()
    const word = this.#take(/true|false|null/y)
    if (word !== undefined) return word === 'null' ? null : word === 'true'
    const number = this.#take(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y)
    if (number === undefined) throw new SyntaxError('no value')
    return new NumberToken(number)
  }

  #string(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the grammar names them
    const found = this.#take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)
    if (found === undefined) throw new SyntaxError('no string')
    return found.slice(1, -1).replace(/\\(?:u(....)|(.))/g, (_, code: string | undefined, short: string) => {
      if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16))
      return { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[short] ?? short
    })
  }

  #object(): ReadonlyMap<string, Exact> {
    const members = new Map<string, Exact>()
    this.#at += 1
    if (this.#is('}')) return members
    do {
      this.#space()
      const name = this.#string()
      if (!this.#is(':')) throw new SyntaxError('no colon')
      members.set(name, this.#value())
    } while (this.#is(','))
    if (!this.#is('}')) throw new SyntaxError('an object without its end')
    return members
  }

  #list(): readonly Exact[] {
    const items: Exact[] = []
    this.#at += 1
    if (this.#is(']')) return items
    do items.push(this.#value())
    while (this.#is(','))
    if (!this.#is(']')) throw new SyntaxError('a list without its end')
    return items
  }
}

/** What is at a path of names and positions; undefined when any part of it is not there. */
export function exactAt(value: Exact | undefined, ...path: readonly (string | number)[]): Exact | undefined {
  return path.reduce<Exact | undefined>((found, step) => {
    if (typeof step === 'number') return Array.isArray(found) ? (found as readonly Exact[])[step] : undefined
    return found instanceof Map ? (found as ReadonlyMap<string, Exact>).get(step) : undefined
  }, value)
}

/**
 * The whole number that a token says, such as 3 for `30e-1`; undefined when it says none. Fractions are as exact as a double, which is what RFC 8259 lets everybody
 * count on.
 */
export function wholeIn(value: Exact | undefined): bigint | undefined {
  if (!(value instanceof NumberToken)) return undefined
  const double = Number(value.text)
  return exactly(value.text) ?? (Number.isSafeInteger(double) ? BigInt(double) : undefined)
}

function exactly(text: string): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = `${whole}${fraction}`
  if (/^0*$/.test(digits)) return 0n
  const shift = Number(exponent) - fraction.length
  if (shift > 400 || shift < -400 - digits.length) return undefined
  const kept = shift >= 0 ? `${digits}${'0'.repeat(shift)}` : digits.slice(0, shift)
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return undefined
  return BigInt(`${sign}${kept === '' ? '0' : kept}`)
}

/** Digits in a string. */
export function digitsIn(value: Exact | undefined): bigint | undefined {
  return typeof value === 'string' && /^[0-9]+$/.test(value) ? BigInt(value) : undefined
}
