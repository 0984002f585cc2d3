import { XMLParser } from 'fast-xml-parser'

/** An element of an XML document, with the ways to it that answers of `gluster` need. */
export interface XmlElement {
  /** The children of this name. */
  all(name: string): readonly XmlElement[]
  /** The first element down this path. */
  at(...path: readonly string[]): XmlElement | undefined
  /** The text of the first element down this path; undefined when it is not there or empty. */
  text(...path: readonly string[]): string | undefined
}

// Nothing is interpreted: no entities, no numbers, no attributes.
const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  parseTagValue: false,
  processEntities: false,
  trimValues: true,
  isArray: () => true,
})

/**
 * Reads a document; undefined when the text is none, or only a part of one. A document type is refused whatever it says: with it, a short text can become a long one.
 */
export function parseXml(text: string): XmlElement | undefined {
  if (!/^\s*<[?\w]/.test(text) || /<!(?:DOCTYPE|ENTITY)/i.test(text)) return undefined
  const root = /<\/([\w-]+)>\s*$/.exec(text)?.[1]
  if (root === undefined) return undefined
  try {
    return elementOf(parser.parse(text, true)).at(root)
  } catch {
    return undefined
  }
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The five characters that XML itself has names for. */
function decoded(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => named[name] ?? '')
}

function elementOf(value: unknown): XmlElement {
  const all = (name: string): readonly XmlElement[] => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return []
    const children = (value as Readonly<Record<string, unknown>>)[name]
    return Array.isArray(children) ? children.map(elementOf) : []
  }
  const at = (...path: readonly string[]): XmlElement | undefined => {
    const [first, ...rest] = path
    return first === undefined ? element : all(first)[0]?.at(...rest)
  }
  const own = (): string | undefined => {
    if (typeof value === 'string') return value === '' ? undefined : decoded(value)
    const [text] = typeof value === 'object' && value !== null && '#text' in value ? [value['#text']] : []
    const first: unknown = Array.isArray(text) ? text[0] : text
    return typeof first === 'string' && first !== '' ? decoded(first) : undefined
  }
  const element: XmlElement = {
    ...{ all, at },
    text: (...path) => (path.length === 0 ? own() : at(...path)?.text()),
  }
  return element
}
