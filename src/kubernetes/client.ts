/** A request to the API server, as the client that a user may pass has to send it. */
export interface KubernetesRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Absolute, without the server: `/api/v1/namespaces/shop/persistentvolumeclaims/data`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Sent as JSON, whatever its content type. */
  readonly body?: unknown
  /** Of the body: for PATCH, which kind of patch it is. Left out: `application/json`. */
  readonly contentType?: string
  readonly signal?: AbortSignal
}

/** An answer of any status. */
export interface KubernetesAnswer {
  readonly status: number
  /** The JSON of the answer; of a failure, the `Status` object. */
  readonly body: unknown
  /** By lower-case names, where the client has them. They save a request for the server's version, and tell how long to wait after a 429. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** What a watch reports, as the API server sends it. */
export interface KubernetesWatchEvent {
  /** `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`. */
  readonly type: string
  readonly object: unknown
}

/**
 * All that is asked of a client of Kubernetes, so that any one can be passed. Whatever it rejects with means that the answer is not known; a status that means a
 * failure is an answer.
 */
export interface KubernetesClient {
  /** The address of the API server: names the cluster in locks, and what is paced together. */
  readonly server: string
  send(request: KubernetesRequest): Promise<KubernetesAnswer>
  /**
   * Begins a watch. Resolves once the server has accepted it; ends when the server ends it, and at once when the signal is aborted. A refusal is an answer with its
   * status, and no events.
   */
  watch(
    request: Omit<KubernetesRequest, 'method' | 'body' | 'contentType'>,
  ): Promise<KubernetesAnswer & { readonly events: AsyncIterable<KubernetesWatchEvent> }>
}
