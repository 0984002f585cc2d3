import type { Clock } from '../clock.ts'
import type { Capabilities } from '../expander.ts'
import { type BatchingOptions, ReadBatcher } from './batching.ts'
import { Pacer } from './pacing.ts'

/** What all callers of one scope of one provider share. */
export interface ScopeServices {
  readonly batcher: ReadBatcher
  readonly expandPacer: Pacer
}

interface Entry extends ScopeServices {
  readonly readPacer: Pacer
  active: number
  readonly forget: () => void
}

// By clock, so that runs on different clocks (a test's and the system's) never wait for each other's timers.
const registry = new WeakMap<Clock, Map<string, Entry>>()

/** How many scopes are remembered for a clock. */
export function rememberedScopes(clock: Clock): number {
  return registry.get(clock)?.size ?? 0
}

/**
 * Calls `use` with the services that this process has for the scope, the same ones for every caller. A scope is forgotten once nobody uses it and its
 * buckets are full again, which is when a new one would be no different.
 */
export async function withScope<T>(
  clock: Clock,
  provider: string,
  scope: string,
  capabilities: Capabilities,
  use: (services: ScopeServices) => Promise<T>,
): Promise<T> {
  const services = enterScope(clock, provider, scope, capabilities)
  try {
    return await use(services)
  } finally {
    exitScope(services)
  }
}

/** The same for who holds it longer: {@link exitScope} has to follow. */
export function enterScope(clock: Clock, provider: string, scope: string, capabilities: Capabilities): ScopeServices {
  const scopes = registry.get(clock) ?? new Map<string, Entry>()
  registry.set(clock, scopes)
  const key = JSON.stringify([provider, scope])
  const entry = scopes.get(key) ?? newEntry(clock, capabilities, () => void scopes.delete(key))
  if (!scopes.has(key)) {
    // A scope that was not rested when its last caller left is looked at again when a new one comes.
    forgetRested(scopes)
    scopes.set(key, entry)
  }
  entry.active += 1
  return entry
}

export function exitScope(services: ScopeServices): void {
  const entry = services as Entry
  entry.active -= 1
  if (isForgettable(entry)) entry.forget()
}

function newEntry(clock: Clock, capabilities: Capabilities, forget: () => void): Entry {
  const readPacer = new Pacer(capabilities.pace?.read, clock)
  const expandPacer = new Pacer(capabilities.pace?.expand, clock)
  return {
    readPacer,
    expandPacer,
    batcher: new ReadBatcher({ clock, pacer: readPacer, ...rhythmOf(capabilities) }),
    active: 0,
    forget,
  }
}

function rhythmOf({ poll, pace }: Capabilities): Pick<BatchingOptions, 'rhythm' | 'head' | 'riders'> {
  const together = pace?.expand?.together === true
  return { rhythm: poll?.window, head: poll?.first, riders: together ? Math.floor(pace?.expand?.burst ?? 0) : 0 }
}

function isForgettable(entry: Entry): boolean {
  return entry.active === 0 && entry.batcher.idle && entry.readPacer.rested && entry.expandPacer.rested
}

function forgetRested(scopes: Map<string, Entry>): void {
  for (const [key, entry] of scopes) if (isForgettable(entry)) scopes.delete(key)
}
