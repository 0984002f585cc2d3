/** Who is told of an abort: an object that waits anyway needs no function of its own for it. */
export interface AbortListener {
  aborted(): void
}

const listeners = new WeakMap<AbortSignal, Set<AbortListener>>()

/**
 * Tells `listener` once when the signal is aborted, unless {@link ignoreAbort} comes before. However many wait for one signal, it gets a single
 * listener: Node warns of a leak from the eleventh on, and one signal for a fleet of volumes is nothing unusual. Does nothing for a signal that is aborted
 * already, which the caller checks first.
 */
export function listenForAbort(signal: AbortSignal | undefined, listener: AbortListener): void {
  if (signal === undefined || signal.aborted) return
  const known = listeners.get(signal)
  const waiting = known ?? new Set()
  if (known === undefined) {
    listeners.set(signal, waiting)
    signal.addEventListener('abort', dispatch, { once: true })
  }
  waiting.add(listener)
}

export function ignoreAbort(signal: AbortSignal | undefined, listener: AbortListener): void {
  const waiting = signal === undefined ? undefined : listeners.get(signal)
  if (signal === undefined || waiting?.delete(listener) !== true || waiting.size > 0 || signal.aborted) return
  listeners.delete(signal)
  signal.removeEventListener('abort', dispatch)
}

/** {@link listenForAbort} for a function, which is called as often as it was given. The returned function ends that. */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined || signal.aborted) return () => undefined
  const listener: AbortListener = { aborted: () => callback() }
  listenForAbort(signal, listener)
  return () => ignoreAbort(signal, listener)
}

function dispatch(this: AbortSignal): void {
  // Not a copy: who is told to stop by an earlier one is not told any more.
  for (const listener of listeners.get(this) ?? []) listener.aborted()
  listeners.delete(this)
}
