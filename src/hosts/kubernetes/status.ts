import type { VolumeExpansionError } from '../../errors.ts'
import type { Ending } from '../remote/host.ts'
import { noEntry } from './errors.ts'

/** How a command ended by the last message of its stream, a Status object on the error channel (KEP-4006; `v4.channel.k8s.io` and later). */
export function endingOf(id: string, text: string): Ending | VolumeExpansionError | Error {
  let status: {
    readonly status?: unknown
    readonly message?: unknown
    readonly details?: { readonly causes?: unknown }
  }
  try {
    status = JSON.parse(text) ?? {}
  } catch {
    return new Error(`the stream ended with ${text.slice(0, 300)}`)
  }
  if (status.status === 'Success') return { exitCode: 0 }
  const causes: unknown = status.details?.causes
  const exit = (Array.isArray(causes) ? causes : []).find((cause) => cause?.reason === 'ExitCode')
  const exitCode = Number.parseInt(String(exit?.message), 10)
  if (Number.isInteger(exitCode)) return { exitCode }
  const message = String(status.message ?? 'no reason given')
  // In the words of runc and crun, which container runtimes pass on: the container's process could not be started.
  if (/executable file not found|exec format error|no such file or directory/i.test(message))
    return noEntry(id, message)
  return new Error(message)
}
