import type { Limit, Pace, PollCadence } from '../../src/expander.ts'
import type { Finding } from '../../src/findings.ts'
import { type Bytes, bytes, GiB } from '../../src/size.ts'

export type EbsVolumeType = 'gp2' | 'gp3' | 'io1' | 'io2' | 'st1' | 'sc1' | 'standard'

interface TypeLimits {
  /** GiB. */
  readonly size: number
  readonly iops?: readonly [least: number, most: number]
  /** MiB/s. */
  readonly throughput?: readonly [least: number, most: number]
}

/** What AWS documents and may raise at any time: each with its source and its date, and acceptable as `dated-limit`. */
const limitsByType: {
  readonly source: string
  readonly asOf: string
  readonly types: Readonly<Record<EbsVolumeType, TypeLimits>>
} = {
  source: 'Amazon EC2 API Reference, ModifyVolume',
  asOf: '2026-07-01',
  types: {
    gp2: { size: 16_384 },
    gp3: { size: 65_536, iops: [3000, 80_000], throughput: [125, 2000] },
    io1: { size: 16_384, iops: [100, 64_000] },
    io2: { size: 65_536, iops: [100, 256_000] },
    st1: { size: 16_384 },
    sc1: { size: 16_384 },
    standard: { size: 1024 },
  },
}

/** Amazon EBS User Guide, "Modify an EBS volume", since 2026-01-15: so many modifications in any 24 hours; before, one in 6 hours. */
const modificationRule = {
  most: 4,
  milliseconds: 86_400_000,
  source: 'Amazon EBS User Guide, "Modify an EBS volume"',
  asOf: '2026-01-15',
} as const

/**
 * Half of what the Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API", gives an account in a region, as of 2025-06 (ModifyVolume, a mutating
 * action: a bucket of 50, 5 a second; reads: 100 and 20; DescribeVolumes by ids: 50 and 10): what else the account does needs some of it too. A read of 1,000
 * volumes makes up to seven calls.
 */
export const defaultPace: { readonly read: Pace; readonly expand: Pace } = {
  read: { burst: 5, perSecond: 2 },
  expand: { burst: 45, perSecond: 2.5, together: true },
}

/** A modification is usable within seconds, as a rule. */
export const defaultPoll: PollCadence = { first: 1000, cap: 5000, window: 2000 }

export function isVolumeType(text: string | undefined): text is EbsVolumeType {
  return text !== undefined && Object.hasOwn(limitsByType.types, text)
}

const limits = new Map<EbsVolumeType, readonly Limit[]>()

/** The same list for every volume of the type. */
export function limitsOf(type: EbsVolumeType): readonly Limit[] {
  const { source, asOf, types } = limitsByType
  const known = limits.get(type)
  if (known !== undefined) return known
  const made: readonly Limit[] = [
    { what: 'size', most: bytes(BigInt(types[type].size) * GiB), source: `${source}, ${type}`, asOf },
  ]
  limits.set(type, made)
  return made
}

/** What can be said of wished performance without knowing the size; the ratios to it are EC2's to judge. */
export function performanceFindings(
  type: EbsVolumeType,
  wished: { readonly iops?: number; readonly throughput?: number },
): readonly Finding[] {
  const { source, asOf, types } = limitsByType
  const judge = (name: 'iops' | 'throughput'): readonly Finding[] => {
    const value = wished[name]
    const range = types[type][name]
    if (value === undefined || (range !== undefined && value >= range[0] && value <= range[1])) return []
    const allowed =
      range === undefined ? `${type} volumes have no ${name} of their own` : `${type} allows ${range.join(' to ')}`
    return [
      {
        ...{ code: 'dated-limit', severity: 'blocker', layer: 'volume' },
        message: `${name} of ${value}: ${allowed} (${source} of ${asOf}).`,
        remedy: "Ask for what the type allows, or accept 'dated-limit' if that was changed since.",
      },
    ]
  }
  return [...judge('iops'), ...judge('throughput')]
}

/** When the rule allows the next modification: undefined for now, as far as these starts (milliseconds since 1970) show. */
export function nextModificationAt(starts: readonly number[], now: Date): Date | undefined {
  const { most, milliseconds } = modificationRule
  const recent = starts.filter((start) => start > now.getTime() - milliseconds).sort((a, b) => b - a)
  const oldest = recent[most - 1]
  return oldest === undefined ? undefined : new Date(oldest + milliseconds)
}

export function gibibytes(size: Bytes): number {
  return Number(size / GiB)
}
