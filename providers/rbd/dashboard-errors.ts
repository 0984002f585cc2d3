import type { Outcome, VolumeExpansionError } from '../../src/errors.ts'
import { type HttpAnswer, retryAfterOf } from '../../src/services/http.ts'
import { rbdError } from './errors.ts'
import { member, text } from './json.ts'

/**
 * What an answer of the dashboard that is no success means.
 *
 * @param outcome what the request may have left behind when the answer does not tell
 */
export function answerError(answer: HttpAnswer, subject: string, outcome: Outcome): VolumeExpansionError {
  const { status } = answer
  const { detail, errno } = said(answer)
  const words = detail === undefined ? `status ${status}` : `status ${status}: ${detail}`
  if (status === 404 || (status === 400 && errno === '2')) {
    return rbdError('not-found', `${subject} does not exist (${words}).`, {
      outcome: 'unchanged',
      remedy: 'Check the names of pool, namespace and image. An image is never made here.',
    })
  }
  if (status === 400 && errno === '30') {
    return rbdError('wrong-state', `${subject} is read-only (${words}).`, {
      outcome: 'unchanged',
      remedy: 'Grow the primary image; mirroring brings the new size here.',
    })
  }
  if (status === 401) {
    return rbdError('authentication-failed', `The dashboard took the token for ${subject} no longer (${words}).`, {
      outcome: 'unchanged',
      remedy: 'Check that the user is still enabled (ceph dashboard ac-user-show), and run this again.',
    })
  }
  if (status === 403) {
    return rbdError('permission-denied', `The user of the dashboard may not do that with ${subject} (${words}).`, {
      outcome: 'unchanged',
      remedy: 'Give the user a role with the rights for rbd-image, such as block-manager.',
    })
  }
  if (status === 415) {
    return rbdError(
      'backend-unreachable',
      `The dashboard does not speak the version of its API that is asked for (${words}).`,
      {
        outcome: 'unchanged',
        remedy: 'Use `cluster` with the commands of Ceph, which need no such version.',
      },
    )
  }
  if (status === 429 || status === 503) {
    const retryAfter = retryAfterOf(answer.headers)
    const error = rbdError('throttled', `The dashboard asks to come later (${words}).`, {
      // 503 may have come after the change, whoever it was that said it.
      ...{ outcome: status === 503 ? outcome : 'unchanged', retryable: true },
      remedy: 'Run it again later.',
    })
    return retryAfter === undefined ? error : error.with({ retryAfter })
  }
  if (status >= 500) {
    return rbdError('backend-unreachable', `The dashboard failed on ${subject} (${words}).`, {
      ...{ outcome, retryable: true },
      remedy: 'Look at the health of the cluster and at the log of its manager, and run this again: it observes first.',
    })
  }
  return rbdError('backend-failed', `The dashboard refused ${subject} (${words}).`, {
    outcome: status >= 400 ? 'unchanged' : outcome,
    remedy: 'Look at what it says, and at the image with `rbd info`.',
  })
}

/** The API gives an errno as text, and its words under one of two names. */
function said(answer: HttpAnswer): { readonly detail?: string; readonly errno?: string } {
  try {
    const body = answer.json()
    const [detail, errno] = [text(member(body, 'detail')), member(body, 'code')]
    return {
      ...(detail === undefined ? {} : { detail: detail.slice(0, 300) }),
      ...(errno === undefined ? {} : { errno: String(errno) }),
    }
  } catch {
    return {}
  }
}
