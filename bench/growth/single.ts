// The first growth of a fresh process. Arguments: a variant, and the volume as JSON. Prints the milliseconds.
import { variantsFor } from './variants.ts'
import type { ScratchVolume } from './volume.ts'

const [name, json = ''] = process.argv.slice(2)
const volume: ScratchVolume = JSON.parse(json)
const variant = variantsFor(volume.growthCase).find((candidate) => candidate.name === name)
if (variant === undefined) throw new Error(`There is no variant ${name}.`)
const began = performance.now()
await variant.grow(volume)
process.stdout.write(String(performance.now() - began))
