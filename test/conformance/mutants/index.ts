import { hosts } from './hosts.ts'
import { layers } from './layers.ts'
import type { Suite } from './mutant.ts'
import { providers } from './providers.ts'
import { resizers } from './resizers.ts'

/** Every conformance suite with the implementations that it has to reject. */
export const suites: readonly Suite[] = [providers, hosts, resizers, layers]
