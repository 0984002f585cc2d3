/** A device number of stat(2) as `major:minor`, by glibc's encoding: 12 low and 20 high bits of the major, 8 low and 24 high bits of the minor. */
export function deviceId(number: bigint): string {
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

/** The number of stat(2) for a `major:minor`; undefined when it is none. */
export function deviceNumber(id: string): bigint | undefined {
  const match = /^(\d+):(\d+)$/.exec(id)
  if (match === null) return undefined
  const [major, minor] = [BigInt(match[1] ?? 0), BigInt(match[2] ?? 0)]
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn)
}
