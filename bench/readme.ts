const opening = '<!-- bench -->'
const closing = '<!-- /bench -->'
const sshOpening = '<!-- bench over SSH -->'
const sshClosing = '<!-- /bench over SSH -->'

/** What was measured over SSH, as a part of the bench's part that can be replaced by itself. */
export function markedSsh(lines: readonly string[]): readonly string[] {
  return [sshOpening, '', ...lines, '', sshClosing]
}

/** The text with what was measured over SSH replaced, and all else of the bench's part as it was; at its end where it had none. */
export function withSshPart(text: string, lines: readonly string[]): string {
  const [start, end] = [text.indexOf(sshOpening), text.indexOf(sshClosing)]
  const part = markedSsh(lines).join('\n')
  if (start !== -1 && end > start) return `${text.slice(0, start)}${part}${text.slice(end + sshClosing.length)}`
  const last = text.indexOf(closing)
  if (last === -1) throw new Error(`There is no ${closing} to write before.`)
  return `${text.slice(0, last)}${part}\n\n${text.slice(last)}`
}

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
