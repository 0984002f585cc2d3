const opening = '<!-- bench -->'
const closing = '<!-- /bench -->'

/**
 * The text with what stands between the markers replaced. A missing closing marker is added.
 * @throws {Error} when there is no opening marker
 */
export function withBenchPart(text: string, lines: readonly string[]): string {
  const start = text.indexOf(opening)
  if (start === -1) throw new Error(`There is no ${opening} to write after.`)
  const from = start + opening.length
  const end = text.indexOf(closing, from)
  const rest = end === -1 ? text.slice(from) : text.slice(end + closing.length)
  return `${text.slice(0, from)}\n\n${lines.join('\n')}\n\n${closing}${rest}`
}
