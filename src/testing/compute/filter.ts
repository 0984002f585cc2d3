import { invalid } from './answers.ts'

/**
 * The part of the list filters that this emulator knows (the `filter` parameter of every list method in the API reference): comparisons `=` and `!=` joined
 * by AND, which may be left out between parentheses, and OR; or one `eq`/`ne` against an RE2 pattern that has to match the whole field. OR binds tighter than
 * AND, as AIP-160 has it. Anything else is refused, and never ignored.
 */
export function filterOf(text: string | undefined): (resource: object) => boolean {
  if (text === undefined || text.trim() === '') return () => true
  const pattern = /^\s*([\w.]+)\s+(eq|ne)\s+(?:"([^"]*)"|'([^']*)'|(.+?))\s*$/.exec(text)
  if (pattern !== null) {
    const [, field = '', operator, ...literals] = pattern
    const whole = new RegExp(`^(?:${literals.find((literal) => literal !== undefined) ?? ''})$`)
    return (resource) => whole.test(textIn(resource, field)) === (operator === 'eq')
  }
  const tokens = text.match(/\(|\)|"[^"]*"|!=|=|[^\s()=!"]+/g) ?? []
  return parsed(tokens, text)
}

function textIn(resource: object, field: string): string {
  const value = field
    .split('.')
    .reduce<unknown>(
      (found, name) => (typeof found === 'object' && found !== null ? Reflect.get(found, name) : undefined),
      resource,
    )
  return value === undefined ? '' : String(value)
}

type Predicate = (resource: object) => boolean

function parsed(tokens: readonly string[], text: string): Predicate {
  let at = 0
  const peek = (): string | undefined => tokens[at]
  const next = (): string => {
    const token = tokens[at]
    if (token === undefined) throw malformed(text)
    at += 1
    return token
  }
  const term = (): Predicate => {
    const first = next()
    if (first === '(') {
      const inner = all()
      if (next() !== ')') throw malformed(text)
      return inner
    }
    const operator = next()
    const literal = next().replace(/^"|"$/g, '')
    if (operator !== '=' && operator !== '!=') throw malformed(text)
    return (resource) => (textIn(resource, first) === literal) === (operator === '=')
  }
  const any = (): Predicate => {
    const terms = [term()]
    while (peek() === 'OR') {
      at += 1
      terms.push(term())
    }
    return (resource) => terms.some((holds) => holds(resource))
  }
  const all = (): Predicate => {
    const terms = [any()]
    while (peek() !== undefined && peek() !== ')') {
      if (peek() === 'AND') at += 1
      terms.push(any())
    }
    return (resource) => terms.every((holds) => holds(resource))
  }
  const predicate = all()
  if (at !== tokens.length) throw malformed(text)
  return predicate
}

function malformed(text: string): Error {
  return invalid(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`)
}
