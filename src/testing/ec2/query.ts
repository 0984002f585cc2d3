import { Ec2Fault } from './fault.ts'

export interface Filter {
  readonly name: string
  readonly values: readonly string[]
}

/** The form-encoded parameters of a request (Amazon EC2 API Reference, "Query parameters": lists are numbered from 1). */
export class Query {
  readonly #parameters: URLSearchParams

  constructor(body: string) {
    this.#parameters = new URLSearchParams(body)
  }

  text(name: string): string | undefined {
    const value = this.#parameters.get(name)
    return value === null || value === '' ? undefined : value
  }

  flag(name: string): boolean {
    return this.text(name)?.toLowerCase() === 'true'
  }

  integer(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!/^-?\d{1,15}$/.test(text)) {
      throw new Ec2Fault('InvalidParameterValue', `Value (${text}) for parameter ${name} is invalid.`)
    }
    return Number(text)
  }

  list(prefix: string): readonly string[] {
    const values: string[] = []
    for (let position = 1; ; position += 1) {
      const value = this.#parameters.get(`${prefix}.${position}`)
      if (value === null) return values
      values.push(value)
    }
  }

  filters(): readonly Filter[] {
    const filters: Filter[] = []
    for (let position = 1; ; position += 1) {
      const name = this.text(`Filter.${position}.Name`)
      if (name === undefined) return filters
      const values = this.list(`Filter.${position}.Value`)
      // cloud-custodian issue 3778 has the message.
      if (values.length > 200) {
        throw new Ec2Fault(
          'InvalidParameterValue',
          'The maximum number of filter values specified on a single call is 200',
        )
      }
      filters.push({ name, values })
    }
  }

  /** Tags of the first `TagSpecification`. */
  tags(): ReadonlyMap<string, string> {
    const tags = new Map<string, string>()
    for (let position = 1; ; position += 1) {
      const key = this.text(`TagSpecification.1.Tag.${position}.Key`)
      if (key === undefined) return tags
      tags.set(key, this.text(`TagSpecification.1.Tag.${position}.Value`) ?? '')
    }
  }
}

/** Whether a value fits one of a filter's, in which `*` and `?` stand for any text and any character ("List and filter your resources"). */
export function matcher(values: readonly string[]): (value: string | undefined) => boolean {
  const exact = new Set(values.filter((value) => !/[*?]/.test(value)))
  const patterns = values
    .filter((value) => !exact.has(value))
    .map((pattern) =>
      pattern
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.'),
    )
    .map((source) => new RegExp(`^${source}$`, 's'))
  return (value) => value !== undefined && (exact.has(value) || patterns.some((pattern) => pattern.test(value)))
}

/** One page. Tokens are opaque to callers; they hold the position. */
export function page<Item>(
  items: readonly Item[],
  query: Query,
  most: number,
): { readonly items: readonly Item[]; readonly nextToken: string | undefined } {
  const asked = query.integer('MaxResults')
  const least = 5
  if (asked !== undefined && (asked < least || asked > most)) {
    throw new Ec2Fault('InvalidParameterValue', `Value ( ${asked} ) for parameter maxResults is invalid.`)
  }
  const token = query.text('NextToken')
  const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString())
  if (!Number.isInteger(start)) throw new Ec2Fault('InvalidParameterValue', 'Unable to parse pagination token')
  const end = asked === undefined ? items.length : start + asked
  const nextToken = end < items.length ? Buffer.from(`${end}`).toString('base64url') : undefined
  return { items: items.slice(start, end), nextToken }
}
