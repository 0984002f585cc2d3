import { acceptableCodes } from '../findings.ts'
import { type Bytes, parseIncrement, parseSize } from '../size.ts'
import type { RunOptions } from './plan.ts'

/**
 * Checks the kinds of the arguments, whose values may come from JavaScript or JSON.
 *
 * @throws {TypeError} for everything that a compiler would have refused
 */
export function checkOptions<Input>(input: Input & RunOptions): Input & RunOptions & object {
  if (typeof input !== 'object' || input === null) throw new TypeError('A request is an object.')
  const { to, by, max, approved, signal, accept, offline, timeouts } = input
  const sizes = [to, by].filter((size) => size !== undefined).length
  if (approved !== undefined) {
    if (sizes > 0 || max !== undefined)
      throw new TypeError('An approved plan brings its target: leave out `to`, `by` and `max`.')
  } else if (sizes !== 1) throw new TypeError('Exactly one of `to` and `by` has to be given.')
  for (const [name, size] of Object.entries({ to, by, max })) {
    if (size !== undefined && typeof size !== 'string' && typeof size !== 'bigint') {
      throw new TypeError(`\`${name}\` is a size such as '200Gi', or a bigint of bytes; not a ${typeof size}.`)
    }
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('`signal` is an AbortSignal.')
  if (offline !== undefined && typeof offline !== 'boolean') throw new TypeError('`offline` is true or false.')
  const codes: readonly string[] = acceptableCodes
  if (accept !== undefined) {
    if (!Array.isArray(accept)) throw new TypeError('`accept` is a list of codes.')
    const wrong = accept.find((code) => !codes.includes(code))
    if (wrong !== undefined)
      throw new TypeError(`${JSON.stringify(wrong)} cannot be accepted; what can: ${codes.join(', ')}.`)
  }
  for (const [name, value] of Object.entries(timeouts ?? {})) {
    if (typeof value !== 'number' || !(value > 0))
      throw new TypeError(`timeouts.${name} is a number of milliseconds above 0.`)
  }
  return input
}

/** Checks an absolute path that a request names. */
export function checkPath(name: string, path: unknown): void {
  if (path === undefined) return
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) {
    throw new TypeError(`\`${name}\` is an absolute path.`)
  }
}

/**
 * Reads the sizes before anything is observed, so that a malformed one costs nothing.
 *
 * @throws {VolumeExpansionError} `invalid-size`
 */
export function checkSizes({ to, by, max }: RunOptions): void {
  if (to !== undefined && to !== 'fill') parseSize(to)
  if (by !== undefined) parseIncrement(by, 1n as Bytes)
  if (max !== undefined) parseSize(max)
}
