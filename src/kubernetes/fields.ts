/** A JSON object of the API server. Read by the functions here, which take nothing for granted. */
export type KubernetesObject = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is KubernetesObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of names; undefined when any part of it is not there. */
export function valueAt(object: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), object)
}

/** A text that is not empty. */
export function textAt(object: unknown, ...path: readonly string[]): string | undefined {
  const value = valueAt(object, ...path)
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function recordAt(object: unknown, ...path: readonly string[]): KubernetesObject {
  const value = valueAt(object, ...path)
  return isRecord(value) ? value : {}
}

export function listAt(object: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = valueAt(object, ...path)
  return Array.isArray(value) ? value : []
}
