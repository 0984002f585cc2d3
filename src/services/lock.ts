import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { abortedError, VolumeExpansionError } from '../errors.ts'
import type { Where } from '../where.ts'

export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined
  /** Called once, when the lock is not free. */
  readonly onWait?: (() => void) | undefined
  /** Where a failure is said to have happened. Left out: `pipeline`. */
  readonly layer?: Where | undefined
  /** How long to wait at the most. Left out: until it is free. */
  readonly timeout?: { readonly clock: Clock; readonly milliseconds: number } | undefined
}

export interface HeldLock {
  readonly key: string
  /** Whether somebody else had it first: what was observed before may be out of date. */
  readonly waited: boolean
  /** Hands the lock to the next in the queue; calling it again does nothing. */
  release(): void
}

type Waiter = () => void

/** A mutual exclusion by key within this process, first come, first served. A key takes memory only while it is held. */
export class KeyedLock {
  // A key that is present is held; its set holds who waits, in order of arrival, once somebody does.
  readonly #queues = new Map<string, Set<Waiter> | undefined>()

  /** How many keys are held now. */
  get size(): number {
    return this.#queues.size
  }

  /**
   * Resolves when the lock is the caller's, who has to release it.
   *
   * @throws {VolumeExpansionError} `aborted` or `timeout`, both with outcome `unchanged`: the caller has left the queue, the others keep their places
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<HeldLock> {
    const { signal, layer = 'pipeline' } = options
    if (signal?.aborted === true) throw abortedError(signal, layer, 'unchanged')
    if (!this.#queues.has(key)) {
      this.#queues.set(key, undefined)
      return new Held(this, key, false)
    }
    const queue = this.#queues.get(key) ?? new Set()
    this.#queues.set(key, queue)
    await this.#turn(key, queue, options, layer)
    return new Held(this, key, true)
  }

  #turn(key: string, queue: Set<Waiter>, options: AcquireOptions, layer: Where): Promise<void> {
    const { signal, onWait, timeout } = options
    return new Promise((resolve, reject) => {
      const timer = new AbortController()
      const leave = (): void => {
        queue.delete(granted)
        forget()
        timer.abort()
      }
      const granted = (): void => {
        leave()
        resolve()
      }
      const forget = onAbort(signal, () => {
        leave()
        if (signal !== undefined) reject(abortedError(signal, layer, 'unchanged'))
      })
      queue.add(granted)
      timeout?.clock.sleep(timeout.milliseconds, timer.signal).then(
        () => {
          // The lock may have been handed over in the same instant; then it is the caller's.
          if (!queue.has(granted)) return
          leave()
          reject(timeoutError(key, timeout.milliseconds, layer))
        },
        () => undefined,
      )
      try {
        onWait?.()
      } catch (thrown) {
        leave()
        reject(thrown)
      }
    })
  }

  /** Hands the key to the next in its queue; only for who holds it. */
  pass(key: string): void {
    const [next] = this.#queues.get(key) ?? []
    if (next === undefined) this.#queues.delete(key)
    else next()
  }
}

/** One for each volume of a fleet. */
class Held implements HeldLock {
  readonly key: string
  readonly waited: boolean
  #lock: KeyedLock | undefined

  constructor(lock: KeyedLock, key: string, waited: boolean) {
    this.key = key
    this.waited = waited
    this.#lock = lock
  }

  release(): void {
    const lock = this.#lock
    this.#lock = undefined
    lock?.pass(this.key)
  }
}

function timeoutError(key: string, milliseconds: number, layer: Where): VolumeExpansionError {
  return new VolumeExpansionError(
    'timeout',
    `Waited ${Math.round(milliseconds / 1000)} s for another run of this process to end with ${key}.`,
    {
      layer,
      outcome: 'unchanged',
      retryable: true,
      remedy: 'Wait for the other run to end, or abort it, and run this one again.',
    },
  )
}

/** The locks of this process: every run takes the ones of its volumes and disks here. */
export const processLocks: KeyedLock = new KeyedLock()
