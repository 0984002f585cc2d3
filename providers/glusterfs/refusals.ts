import { VolumeExpansionError } from '../../src/errors.ts'
import type { Finding } from '../../src/findings.ts'
import { type Bytes, formatSize } from '../../src/size.ts'
import type { GlusterAnswer } from './client.ts'
import { failure, glusterError } from './errors.ts'
import type { Candidates } from './new-bricks.ts'
import type { Observed } from './observed.ts'
import type { GlusterVolumeRef } from './options.ts'

export function refuse(findings: readonly Finding[]): void {
  const [first] = findings
  if (first === undefined) return
  throw failure(first.code, first.message, 'unchanged', { remedy: first.remedy ?? 'Give other bricks.' })
}

export function notByItself({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'device-too-small',
    `${name} has ${formatSize(now)} and not ${formatSize(size)}: its bricks do not bring more.`,
    'unchanged',
    {
      remedy: 'Grow the devices below its bricks by giving `hosts`, or give new `bricks`.',
    },
  )
}

export function nothingNew({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'invalid-request',
    `All bricks that were given are in ${name} already, which has ${formatSize(now)} and not ${formatSize(size)}.`,
    'unchanged',
    {
      remedy: 'Give further bricks.',
    },
  )
}

export function lost(error: unknown, answer: GlusterAnswer): never {
  if (error instanceof VolumeExpansionError && error.code === 'half-done') throw error.with({ outcome: 'changed' })
  throw glusterError(answer.message, 'unknown')
}

/** Whatever keeps the files from being spread, the bricks were added. */
export function halfWay(error: unknown, before?: Observed, after?: Observed): never {
  const outcome = before !== undefined && after !== undefined && after.size > before.size ? 'changed' : 'unknown'
  throw error instanceof VolumeExpansionError && error.outcome !== 'changed' ? error.with({ outcome }) : error
}

/** What a refused add-brick left behind is looked at, not believed: a failed commit lists the bricks all the same. */
export function refuseAdded(answer: GlusterAnswer, after: Observed | undefined, { missing }: Candidates): never {
  const listed = (after?.layout.sets ?? []).flatMap(({ bricks }) => bricks.map(({ name }) => name))
  const added = missing.filter(({ name }) => listed.includes(name))
  if (added.length === 0) throw glusterError(answer.message, 'unchanged')
  throw failure(
    'half-done',
    `gluster says: ${answer.message}. It lists these bricks all the same: ${added.map(({ name }) => name).join(', ')}.`,
    'changed',
    {
      remedy:
        'See that their servers are in the pool and up, then start what is missing (gluster volume start NAME force); or, while nothing was written to them, take them out (gluster volume remove-brick … force).',
    },
  )
}

export function short({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'backend-failed',
    `The new bricks are in ${name}, and it has ${formatSize(now)}, not ${formatSize(size)}.`,
    'changed',
    {
      remedy:
        'The bricks are smaller than needed, or not all of them are online: gluster volume status. Run it again with further bricks.',
    },
  )
}
