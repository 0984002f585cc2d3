import { type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import { retryAfterOf } from '../../src/services/http.ts'
import { fieldsOf, textOf } from './json.ts'
import type { BlockStorageAnswer } from './options.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'cinder'

interface Meaning {
  readonly code: ErrorCode
  readonly remedy: string
  readonly retryable?: boolean
  readonly outcome?: Outcome
}

/** An error of this provider; the outcome is `unchanged` unless said. */
export function failure(
  message: string,
  { code, remedy, retryable = false, outcome = 'unchanged' }: Meaning,
  details: { readonly cause?: unknown; readonly retryAfter?: number | undefined } = {},
): VolumeExpansionError {
  const { cause, retryAfter } = details
  return new VolumeExpansionError(code, message, {
    ...{ layer: 'volume', provider: providerName, outcome, retryable, remedy },
    ...(cause === undefined ? {} : { cause }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

/** What is missing or wrong in the options, the files or the variables. */
export function misconfigured(message: string, remedy: string): VolumeExpansionError {
  return failure(message, { code: 'invalid-request', remedy })
}

/**
 * What an answer of Cinder that is no success means.
 *
 * @param what for people: what was asked for
 * @param changes whether the request would have changed something
 */
export function refusedBy(answer: BlockStorageAnswer, what: string, changes: boolean): VolumeExpansionError {
  const said = reasonOf(answer)
  const shown = said === undefined ? `with status ${answer.status}` : `${answer.status}: ${said}`
  const meaning = meaningOf(answer, said ?? '', changes)
  const date = retryAfterOf({ 'retry-after': headerOf(answer, 'retry-after') })
  // Cinder sends `Retry-After: 0` with every 413.
  const retryAfter = meaning.retryable === true && date !== undefined && date > 0 ? date : undefined
  return failure(`${what}: Cinder answered ${shown}`, meaning, { retryAfter })
}

function meaningOf(answer: BlockStorageAnswer, said: string, changes: boolean): Meaning {
  switch (answer.status) {
    case 400:
      return badRequest(said)
    case 401:
      return {
        code: 'authentication-failed',
        remedy: 'Check the credentials, and whether they were revoked or expired.',
      }
    case 403:
      return {
        code: 'permission-denied',
        remedy:
          'Use credentials with the role member in the volume’s project, or ask an administrator which policy forbids it.',
      }
    case 404:
      return {
        code: 'not-found',
        remedy: 'Check the id, and that the project and the region are those of the volume.',
      }
    case 406:
      return {
        code: 'backend-unreachable',
        retryable: true,
        remedy: 'Several versions of the API seem to answer at this address, as during an upgrade. Run it again.',
      }
    case 409:
      return {
        code: 'conflicting-change',
        retryable: true,
        remedy: 'Run it again when the other change has ended.',
      }
    case 413:
      return overLimit(said, answer)
    case 429:
      return { code: 'throttled', retryable: true, remedy: 'Ask for less at once, or run it again later.' }
    default:
      return answer.status >= 500 ? ownFailure(changes) : unexpected
  }
}

const unexpected: Meaning = {
  code: 'invalid-request',
  remedy: 'Check that the address is that of the Block Storage API, version 3.',
}

function badRequest(said: string): Meaning {
  if (/malformed request url/i.test(said)) {
    return {
      code: 'invalid-request',
      remedy:
        'The endpoint is that of another project than the credentials: leave it out, or give the one of their project.',
    }
  }
  // The bound of a volume type (provisioning:max_vol_size).
  if (/larger than maximum|exceeds? .*max/i.test(said)) return { code: 'limit-exceeded', remedy: 'Ask for less.' }
  if (/currently extending/i.test(said)) return { ...underWay, retryable: true }
  if (/status must be/i.test(said)) {
    return { code: 'wrong-state', remedy: 'Bring the volume back to available or in-use first.' }
  }
  return { code: 'invalid-request', remedy: 'Read what Cinder says; nothing was changed.' }
}

const underWay: Meaning = {
  code: 'conflicting-change',
  remedy: 'Run it again when the other growth has ended.',
}

function overLimit(said: string, answer: BlockStorageAnswer): Meaning {
  if (/SizeExceedsLimit|per.volume/i.test(said)) {
    return { code: 'limit-exceeded', remedy: 'Ask for less, or have the limit per volume raised.' }
  }
  const seconds = Number(headerOf(answer, 'retry-after') ?? '0')
  if (!/quota/i.test(said) && seconds > 0) {
    return { code: 'throttled', retryable: true, remedy: 'Ask for less at once, or run it again later.' }
  }
  return { code: 'quota-exceeded', remedy: 'Ask for less, free some of the quota, or have it raised.' }
}

function ownFailure(changes: boolean): Meaning {
  return {
    code: 'backend-unreachable',
    retryable: true,
    // It may have come after the change, whoever it was that failed.
    outcome: changes ? 'unknown' : 'unchanged',
    remedy:
      'See whether the API and the services behind it run (openstack volume service list). Run it again: it observes first.',
  }
}

/**
 * A growth that another one is in the way of, which may be this one, delivered twice by something in between: when it has ended, the size tells. It usually takes seconds.
 */
export function alreadyGrowing(id: string): VolumeExpansionError {
  const message = `${id} is being grown by another call, and Cinder does not tell to which size.`
  return failure(message, { ...underWay, retryable: true, outcome: 'unknown' }, { retryAfter: 3000 })
}

const longest = 400

/** What an answer says in the shape that OpenStack gives to errors: one object, whatever its name, with a message. */
function reasonOf({ body }: BlockStorageAnswer): string | undefined {
  const [fault] = Object.values(fieldsOf(body))
  const message = textOf(fieldsOf(fault)['message'])
  return message === undefined || message.length <= longest ? message : `${message.slice(0, longest)}…`
}

export function headerOf({ headers }: BlockStorageAnswer, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
