/** Lines of a table; the first row is the head, and all columns but the first hold numbers. */
export function markdownTable(rows: readonly (readonly string[])[]): readonly string[] {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  const [head = [], ...body] = rows
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...body.map(line)]
}
