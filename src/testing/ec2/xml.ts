/** What an answer is made of. Lists become `<item>` elements, as EC2 writes them; what is undefined is left out. */
export type Xml = string | number | boolean | Date | undefined | readonly Xml[] | { readonly [name: string]: Xml }

const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

/** Text for XML 1.0. Control characters that no XML document may hold become U+FFFD; a carriage return would be read as a line feed. */
function escapeXml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => named[character] ?? '')
    .replace(/\r/g, '&#13;')
    .replace(/[^\t\n\x20-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
}

function element(name: string, value: Xml): string {
  if (value === undefined) return ''
  return `<${name}>${contentOf(value)}</${name}>`
}

function contentOf(value: Exclude<Xml, undefined>): string {
  if (typeof value === 'string') return escapeXml(value)
  if (typeof value !== 'object') return `${value}`
  if (value instanceof Date) return value.toISOString()
  if (isList(value)) return value.map((entry) => element('item', entry)).join('')
  return Object.entries(value)
    .map(([name, entry]) => element(name, entry))
    .join('')
}

function isList(value: object): value is readonly Xml[] {
  return Array.isArray(value)
}

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'

export function answerXml(action: string, requestId: string, content: Readonly<Record<string, Xml>>): string {
  const name = `${action}Response`
  const body = contentOf({ requestId, ...content })
  return `${declaration}<${name} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${body}</${name}>`
}

/** The shape of errors in the EC2 query protocol (Amazon EC2 API Reference, "Error codes", example error response). */
export function errorXml(requestId: string, code: string, message: string): string {
  const content = { Errors: { Error: { Code: code, Message: message } }, RequestID: requestId }
  return `${declaration}${element('Response', content)}`
}
