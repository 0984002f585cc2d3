import { device } from './device/index.ts'
import type { Layer } from './layer.ts'
import { partition } from './partition/index.ts'

/** The layers that are recognised without being asked for. */
export const layers: readonly Layer[] = [device, partition]
