import type { SizeInput } from '../../src/size.ts'

/** Whom Keystone (identity API v3) knows. Exactly one of `password`, `applicationCredentialSecret` and `token` is given. */
export interface CinderAuth {
  /** The address of Keystone, with or without `/v3`. May be left out only for a `token` that is used as it is, with `endpoint`. */
  readonly authUrl?: string
  readonly username?: string
  readonly userId?: string
  /** Left out, with `userDomainId`: the domain whose id is `default`. */
  readonly userDomainName?: string
  readonly userDomainId?: string
  readonly password?: string
  readonly projectName?: string
  /** Left out, with `projectName`: the user's default project. */
  readonly projectId?: string
  /** Left out, with `projectDomainId`: the domain whose id is `default`. */
  readonly projectDomainName?: string
  readonly projectDomainId?: string
  readonly applicationCredentialId?: string
  /** Needs the user as well, by id or by name and domain. */
  readonly applicationCredentialName?: string
  readonly applicationCredentialSecret?: string
  readonly token?: string
}

export interface CinderOptions {
  /** The name of a cloud in clouds.yaml. Left out: `OS_CLOUD`, else the `OS_*` variables, else the only cloud that there is. */
  readonly cloud?: string
  /** Instead of what files and variables say. */
  readonly auth?: CinderAuth
  /** The region. Left out: the configuration's, else the only one in which the catalog has Cinder. */
  readonly region?: string
  /** Which of Cinder's endpoints in the catalog. Left out: the configuration's, else `public`. */
  readonly interface?: 'public' | 'internal' | 'admin'
  /** The address of Cinder, instead of the catalog's, with or without the project's id at its end. */
  readonly endpoint?: string
  /** A client of your own that authenticates by itself; nothing else is then looked at. */
  readonly client?: BlockStorageClient
}

/** A volume of Cinder: its id, a UUID. */
export type CinderRef = string | CinderVolumeRef

export interface CinderVolumeRef {
  readonly id: string
  /**
   * Bytes by which the device in the guest is smaller than the volume, for encrypted volume types: the header of LUKS. It depends on who wrote the header, and
   * Cinder does not tell; compare `blockdev --getsize64` in the guest with the volume. Left out: none.
   */
  readonly overhead?: SizeInput
}

/** One authenticated request to Cinder, for clients that users pass. */
export interface BlockStorageRequest {
  readonly method: 'GET' | 'POST'
  /** Relative to the endpoint of the project, such as `/volumes/ID/action`, with a query; `versions` asks for the list of versions instead (`/v3/`). */
  readonly path: string
  readonly versions?: boolean
  readonly headers: Readonly<Record<string, string>>
  /** To be sent as JSON. */
  readonly body?: object
  readonly signal?: AbortSignal | undefined
}

/** An answer of any status; redirects are not followed. */
export interface BlockStorageAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** What the JSON says; undefined when the body is empty. */
  readonly body: unknown
}

/** The port through which Cinder is spoken to. */
export interface BlockStorageClient {
  /**
   * Sends a request with a valid token, once more with a new one after a 401. A failure to send should be a `VolumeExpansionError` that says whether the request
   * may have arrived; anything else is taken as not known.
   */
  send(request: BlockStorageRequest): Promise<BlockStorageAnswer>
}
