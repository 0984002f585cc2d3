export type { HostSetup } from './host-cases/setup.ts'
export { hostCases } from './hosts.ts'
export { type LayerExample, type LayerPlace, type LayerSetup, layerCases } from './layers.ts'
export type {
  AttachedVolume,
  OwnPersistentVolume,
  ProviderSetup,
  ProviderVolume,
} from './provider-cases/setup.ts'
export { providerCases } from './providers.ts'
export { type ResizerSetup, resizerCases } from './resizers.ts'
export { type ConformanceCase, ConformanceFailure } from './suite.ts'
