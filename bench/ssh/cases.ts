/** What is compared, over one server and one link. */
export const wayNames = ['ours', 'oursCold', 'script', 'steps', 'connections'] as const
export type WayName = (typeof wayNames)[number]

/** What a runner is told. */
export interface SshRunnerSpec {
  /** Milliseconds that the link adds to a round trip, with how often each way is measured over it. */
  readonly links: readonly { readonly latency: number; readonly rounds: number }[]
  /** Where it writes its {@link SshRunnerOutput}. */
  readonly output: string
  /** Where the image is made; left out: the temporary directory. */
  readonly scratch?: string
}

/** One growth. */
export interface SshSample {
  readonly milliseconds: number
  /** TCP connections that were made for it. */
  readonly connections: number
  /** Sessions, each of which runs one command line on the server: what a caller waits for one after the other. */
  readonly sessions: number
  /** Encrypted, on the wire. */
  readonly sent: number
  readonly received: number
}

export interface SshLinkResult {
  readonly latency: number
  readonly samples: { readonly [Name in WayName]: readonly SshSample[] }
}

export interface SshRunnerOutput {
  readonly kernel: string
  /** As `ssh -V` says it. */
  readonly client: string
  readonly links: readonly SshLinkResult[]
}
