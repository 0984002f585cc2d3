type Callback = () => void

const callbacks = new WeakMap<AbortSignal, Set<Callback>>()

/**
 * Calls `callback` once when the signal is aborted, unless the returned function is called before. However many wait for one signal, it gets a single
 * listener: Node warns of a leak from the eleventh on, and one signal for a fleet of volumes is nothing unusual. Does nothing for a signal that is aborted
 * already, which the caller checks first.
 */
export function onAbort(signal: AbortSignal | undefined, callback: Callback): () => void {
  if (signal === undefined || signal.aborted) return () => undefined
  const known = callbacks.get(signal)
  const waiting = known ?? new Set()
  if (known === undefined) {
    callbacks.set(signal, waiting)
    signal.addEventListener('abort', dispatch, { once: true })
  }
  // A function of its own for each call, so that the same callback given twice is called twice.
  const own = (): void => callback()
  waiting.add(own)
  return () => {
    if (!waiting.delete(own) || waiting.size > 0 || signal.aborted) return
    callbacks.delete(signal)
    signal.removeEventListener('abort', dispatch)
  }
}

function dispatch(this: AbortSignal): void {
  const waiting = callbacks.get(this) ?? []
  callbacks.delete(this)
  // Not a copy: who is told to stop by an earlier callback is not called any more.
  for (const callback of waiting) callback()
}
