import { device } from './device/index.ts'
import type { Layer } from './layer.ts'
import { luks } from './luks/index.ts'
import { lvm } from './lvm/index.ts'
import { multipath } from './multipath/index.ts'
import { partition } from './partition/index.ts'

/** The layers that are recognised without being asked for. */
export const layers: readonly Layer[] = [device, multipath, partition, luks, lvm]
