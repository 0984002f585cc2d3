import { Ec2Fault } from './fault.ts'

export type Ec2VolumeType = 'gp2' | 'gp3' | 'io1' | 'io2' | 'st1' | 'sc1' | 'standard'

interface Bounds {
  readonly size: readonly [least: number, most: number]
  readonly iops?: readonly [least: number, most: number]
  readonly iopsPerGiB?: number
  readonly throughput?: readonly [least: number, most: number]
}

/** GiB, IOPS and MiB/s: Amazon EC2 API Reference, ModifyVolume, and Amazon EBS User Guide, "Volume types", after the change of gp3 in September 2025. */
const bounds: Readonly<Record<Ec2VolumeType, Bounds>> = {
  gp2: { size: [1, 16_384] },
  gp3: { size: [1, 65_536], iops: [3000, 80_000], iopsPerGiB: 500, throughput: [125, 2000] },
  io1: { size: [4, 16_384], iops: [100, 64_000], iopsPerGiB: 50 },
  io2: { size: [4, 65_536], iops: [100, 256_000], iopsPerGiB: 1000 },
  st1: { size: [125, 16_384] },
  sc1: { size: [125, 16_384] },
  standard: { size: [1, 1024] },
}

/** What a volume is or is to become. */
export interface Shape {
  readonly type: Ec2VolumeType
  /** GiB. */
  readonly size: number
  readonly iops: number | undefined
  /** MiB/s. */
  readonly throughput: number | undefined
  readonly multiAttach: boolean
}

export interface ShapeRequest {
  readonly type: string | undefined
  readonly size: number | undefined
  readonly iops: number | undefined
  readonly throughput: number | undefined
}

/** @throws {Ec2Fault} with the code that ModifyVolume answers, for what the types do not allow */
export function changed(now: Shape, { type: wanted, size = now.size, iops, throughput }: ShapeRequest): Shape {
  const type = wanted ?? now.type
  if (!isType(type))
    throw new Ec2Fault('UnknownVolumeType', `Unsupported volume type '${type}' for volume modification.`)
  const limit = bounds[type]
  if (size < now.size) {
    throw new Ec2Fault('InvalidParameterValue', `New size cannot be smaller than existing size`)
  }
  const [least, most] = limit.size
  if (size > most || size < least) {
    throw new Ec2Fault(
      'InvalidParameterValue',
      size > most
        ? `Volume of ${size}GiB is too large for volume type ${type}; maximum is ${most}GiB`
        : `Volume of ${size}GiB is too small for volume type ${type}; minimum is ${least}GiB`,
    )
  }
  if (iops !== undefined && limit.iops === undefined) {
    throw new Ec2Fault('InvalidParameterCombination', `The parameter iops is not supported for ${type} volumes.`)
  }
  if (throughput !== undefined && limit.throughput === undefined) {
    throw new Ec2Fault('InvalidParameterCombination', `The parameter throughput is not supported for ${type} volumes.`)
  }
  within('iops', iops, limit.iops)
  within('throughput', throughput, limit.throughput)
  const sameType = type === now.type
  const finalIops = limit.iops === undefined ? undefined : (iops ?? (sameType ? now.iops : undefined) ?? 3000)
  const ratio = limit.iopsPerGiB
  if (iops !== undefined && ratio !== undefined && iops > Math.max(3000, ratio * size)) {
    throw new Ec2Fault(
      'InvalidParameterValue',
      `Iops to volume size ratio of ${iops / size} is too high; maximum is ${ratio}`,
    )
  }
  const finalThroughput =
    limit.throughput === undefined ? undefined : (throughput ?? (sameType ? now.throughput : undefined) ?? 125)
  if (throughput !== undefined && finalIops !== undefined && throughput / finalIops > 0.25) {
    throw new Ec2Fault(
      'InvalidParameterValue',
      `Throughput (MiBps) to iops ratio of ${throughput / finalIops} is too high; maximum is 0.25 MiBps per iops.`,
    )
  }
  return { type, size, iops: finalIops, throughput: finalThroughput, multiAttach: now.multiAttach }
}

function isType(text: string): text is Ec2VolumeType {
  return Object.hasOwn(bounds, text)
}

/** What a volume of the type has when nothing is said. */
export function defaults(type: Ec2VolumeType): Pick<Shape, 'iops' | 'throughput'> {
  const { iops, throughput } = bounds[type]
  return { iops: iops === undefined ? undefined : 3000, throughput: throughput?.[0] }
}

function within(name: string, value: number | undefined, range: readonly [number, number] | undefined): void {
  if (value === undefined || range === undefined) return
  const [least, most] = range
  if (value >= least && value <= most) return
  const side = value > most ? `high; maximum is ${most}` : `low; minimum is ${least}`
  throw new Ec2Fault('InvalidParameterValue', `Volume ${name} of ${value} is too ${side}.`)
}
