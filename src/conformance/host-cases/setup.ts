import type { Host } from '../../hosts/host.ts'

/** What a case runs on: made anew for each one. */
export interface HostSetup {
  readonly host: Host
  /** Absolute path of an empty directory on that host, which its commands may write to. */
  readonly directory: string
  /** Passwords, keys and tokens that the host was given: none of them may show. Left out: it was given none. */
  readonly secrets?: readonly string[]
  /** Removes the directory, and whatever else was made. */
  dispose(): Promise<void>
}

export type Body = (setup: HostSetup) => Promise<void>
