import type { ErrorCode, Outcome, VolumeExpansionError } from '../../../src/errors.ts'
import { failure } from '../errors.ts'

interface Meaning {
  readonly code: ErrorCode
  readonly remedy: string
  readonly retryable?: boolean
}

/** What Heketi answered, as the library's error. Its words are plain text, and hold no secret. */
export function heketiError(
  status: number,
  text: string,
  outcome: Outcome,
  retryAfter: number | undefined,
): VolumeExpansionError {
  const said = text.replace(/\s+/g, ' ').trim().slice(0, 300) || 'nothing'
  const { code, remedy, retryable = false } = meaningOf(status, said)
  return failure(code, `Heketi answered ${status}: ${said}`, outcome, {
    ...{ remedy, retryable },
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

function meaningOf(status: number, said: string): Meaning {
  if (/Administrator access required/.test(said)) {
    return { code: 'permission-denied', remedy: 'Only the user `admin` may do this: give his key.' }
  }
  if (/expired|used before issued/.test(said)) {
    return {
      code: 'authentication-failed',
      remedy: 'The clocks of this machine and of Heketi’s differ by more than two minutes: set them right.',
    }
  }
  if (/Maximum number of bricks/.test(said)) {
    return { code: 'limit-exceeded', remedy: 'Raise max_bricks_per_volume in Heketi’s configuration, or ask for less.' }
  }
  if (/No space|Not enough/i.test(said)) {
    return { code: 'pool-full', remedy: 'Add a device to Heketi (heketi-cli device add), or ask for less.' }
  }
  switch (status) {
    case 400:
      return { code: 'invalid-request', remedy: 'Ask for whole GiB, and at least one more than there are.' }
    case 401:
      return { code: 'authentication-failed', remedy: 'Check the user and his key.' }
    case 403:
      return { code: 'permission-denied', remedy: 'Check what the user may do.' }
    case 404:
      return { code: 'not-found', remedy: 'Check the id: heketi-cli volume list, heketi-cli blockvolume list.' }
    case 409:
      return { code: 'conflicting-change', remedy: 'Wait for the other change to end.', retryable: true }
    case 429:
      return { code: 'throttled', remedy: 'Heketi has as many operations as it takes. Wait.', retryable: true }
    case 503:
      return { code: 'backend-unreachable', remedy: 'Heketi is under maintenance. Wait.', retryable: true }
    default:
      return { code: 'backend-failed', remedy: 'Read Heketi’s log, then run this again: it observes first.' }
  }
}
