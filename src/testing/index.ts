export { type MemoryCluster, type MemoryClusterOptions, memoryCluster } from './memory-cluster.ts'
export {
  type AcceptedMutation,
  type ScriptedCalls,
  type ScriptedProvider,
  type ScriptedProviderOptions,
  type ScriptedSnapshot,
  type ScriptedVolume,
  scriptedProvider,
} from './scripted-provider.ts'
export { seededRandom, type VirtualClock, type VirtualClockOptions, virtualClock } from './virtual-clock.ts'
