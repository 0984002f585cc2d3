import type { Target } from '../target.ts'
import { argumentTargets } from './arguments.ts'
import { backendTargets } from './backends.ts'
import { diskTargets } from './disks.ts'
import { hostTargets } from './hosts.ts'
import { referenceTargets } from './references.ts'
import { sizeTargets } from './sizes.ts'

export const targets: readonly Target[] = [
  ...sizeTargets,
  ...referenceTargets,
  ...argumentTargets,
  ...backendTargets,
  ...diskTargets,
  ...hostTargets,
]
