import { VolumeExpansionError } from '../errors.ts'
import type { Host } from '../hosts/host.ts'
import type { StepServices } from './step.ts'

/**
 * Lets a look at a host take its time, and not more: a disk that does not answer would hold the run, and its locks, for ever.
 *
 * @throws {VolumeExpansionError} `timeout` with outcome `unchanged`: it was only a look
 */
export async function patiently<Result>(host: Host, services: StepServices, look: Promise<Result>): Promise<Result> {
  const ended = new AbortController()
  const { observe } = services.timeouts
  const late = services.clock.sleep(observe, ended.signal).then((): never => {
    throw new VolumeExpansionError('timeout', `${host.id} did not answer a read within ${observe / 1000} s.`, {
      layer: 'host',
      outcome: 'unchanged',
      retryable: true,
      remedy: 'A disk or the host hangs. See its kernel log, and run this again when reads are answered.',
    })
  })
  try {
    return await Promise.race([look, late])
  } finally {
    ended.abort()
    late.catch(() => {})
    look.catch(() => {})
  }
}
