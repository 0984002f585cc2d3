/** What `JSON.stringify` takes as it is. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * A copy that `JSON.stringify` takes: sizes (bigint) become decimal strings, dates ISO strings, bytes their count, maps objects, sets arrays, errors
 * their name and message; functions, symbols and undefined are left out. Objects with `toJSON` are asked.
 */
export function jsonSafe(value: unknown): Json {
  return convert(value) ?? null
}

function convert(value: unknown): Json | undefined {
  switch (typeof value) {
    case 'bigint':
      return `${value}`
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'object':
      return value === null ? null : convertObject(value)
    default:
      return undefined
  }
}

function convertObject(value: object): Json | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return value.map((entry) => convert(entry) ?? null)
  if (value instanceof Set) return [...value].map((entry) => convert(entry) ?? null)
  if ('toJSON' in value && typeof value.toJSON === 'function') return convert(value.toJSON())
  if (value instanceof Error) return { name: value.name, message: value.message }
  const entries: [string, Json][] = []
  for (const [key, entry] of value instanceof Map ? value : Object.entries(value)) {
    const converted = convert(entry)
    if (converted !== undefined) entries.push([String(key), converted])
  }
  // fromEntries defines each property: an assignment would take a key like __proto__ for something else.
  return Object.fromEntries(entries)
}
