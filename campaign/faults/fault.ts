/** Whether the backend had got (and done) what was asked when it went wrong. */
export type Moment = 'before' | 'after'

/** What goes wrong with one exchange. */
export interface Fault {
  readonly name: string
  readonly moment: Moment
}

interface Kind {
  readonly moments: readonly Moment[]
  /** Of what it can happen to. Left out: everything. */
  readonly only?: 'reads' | 'changes'
  /**
   * An answer that says of itself that nothing was done. After the backend has done it all the same, nobody can know better: an end that repeats this is counted, and not
   * taken for the library's fault.
   */
  readonly refuses?: true
  /** Happens to requests that may come twice or late without being done twice. */
  readonly needsAbsolute?: true
}

const both = ['before', 'after'] as const

/** What can go wrong with a request over HTTP; `before`: the backend has not got it, or will not do it; `after`: it is done, and only the answer suffers. */
export const webFaults: Readonly<Record<string, Kind>> = {
  '429': { moments: both, refuses: true },
  '429-retry-after': { moments: both, refuses: true },
  '500': { moments: both },
  '503': { moments: both },
  '502-html': { moments: both },
  '401': { moments: both, refuses: true },
  '403': { moments: both, refuses: true },
  // The connection breaks before the backend has the request.
  reset: { moments: ['before'] },
  refused: { moments: ['before'] },
  // It breaks when the request is done, before the answer or in its middle.
  lost: { moments: ['after'] },
  cut: { moments: both },
  // Bodies that arrive whole by their length and are not.
  truncated: { moments: both },
  malformed: { moments: both },
  shape: { moments: both },
  html: { moments: both },
  // Longer than any deadline of a request.
  slow: { moments: both },
  // Delivered twice: `before` answers with the first answer, `after` with the second.
  duplicate: { moments: both, needsAbsolute: true },
  // Delivered when the client has long given up.
  late: { moments: ['before'], only: 'changes', needsAbsolute: true },
  // The answer that the same request had before.
  stale: { moments: ['after'], only: 'reads' },
}

/** What can go wrong with a command on a host. */
export const commandFaults: Readonly<Record<string, Kind>> = {
  // Exit code 1 without effect, and with it.
  'exit-1': { moments: both },
  'exit-110': { moments: both },
  // Exit code 0 and nothing said; `before`: nothing done either.
  silent: { moments: both },
  hung: { moments: both },
  signalled: { moments: both },
  truncated: { moments: ['after'] },
  garbage: { moments: both },
  stale: { moments: ['after'], only: 'reads' },
  'not-executable': { moments: ['before'], refuses: true },
  missing: { moments: ['before'], refuses: true },
  denied: { moments: ['before'], refuses: true },
  connection: { moments: both },
}

/** What a provider's own code may do to the core: for the scripted provider. */
export const callFaults: Readonly<Record<string, Kind>> = {
  throttled: { moments: ['before'], refuses: true },
  'throttled-long': { moments: ['before'], refuses: true },
  unreachable: { moments: both },
  denied: { moments: ['before'], refuses: true },
  // An error that is none of the library's.
  foreign: { moments: both },
  hung: { moments: both },
  stale: { moments: ['after'], only: 'reads' },
}

/** What can go wrong with a call of the operating system on a file. */
export const fileFaults: Readonly<Record<string, Kind>> = {
  EIO: { moments: both },
  ENOSPC: { moments: ['before'] },
  EACCES: { moments: ['before'], refuses: true },
  EMFILE: { moments: ['before'] },
  EINTR: { moments: ['before'] },
  stale: { moments: ['after'], only: 'reads' },
}

export type Kinds = Readonly<Record<string, Kind>>

/** Every fault of the catalogue that can happen to such an exchange. */
export function faultsFor(kinds: Kinds, mutates: boolean, absolute: boolean): readonly Fault[] {
  const known = made.get(kinds) ?? new Map<string, readonly Fault[]>()
  made.set(kinds, known)
  const key = `${mutates} ${absolute}`
  const faults = known.get(key) ?? listed(kinds, mutates, absolute)
  known.set(key, faults)
  return faults
}

// Every request asks for them.
const made = new WeakMap<Kinds, Map<string, readonly Fault[]>>()

function listed(kinds: Kinds, mutates: boolean, absolute: boolean): readonly Fault[] {
  return Object.entries(kinds).flatMap(([name, { moments, only, needsAbsolute = false }]) => {
    if (only === (mutates ? 'reads' : 'changes')) return []
    if (needsAbsolute && mutates && !absolute) return []
    return moments.map((moment) => ({ name, moment }))
  })
}

/** Whether nobody could have known that the backend did what it refused. */
export function isLie(kinds: Kinds, { name, moment }: Fault): boolean {
  return moment === 'after' && kinds[name]?.refuses === true
}

export function showFault({ name, moment }: Fault): string {
  return `${name}/${moment}`
}
