/** One growth that is measured, again and again, on filesystems made anew. */
export interface GrowthCase {
  readonly filesystem: 'xfs' | 'ext4'
  /** Mounted while it grows. Otherwise an image that nobody uses, which needs no right at all. */
  readonly online: boolean
  /** GiB before and after. */
  readonly from: number
  readonly to: number
  readonly rounds: Rounds
}

/** How often each of the compared is measured. */
export interface Rounds {
  /** Wall time and processes of the growth, and of the same call when there is nothing left to do. */
  readonly growth: number
  readonly nothingToDo: number
  /** Growths while another process writes. */
  readonly stall: number
  /** First growths of fresh processes. */
  readonly cold: number
}

/** What is compared: this library, the filesystem's own tool alone, and the commands that Kubernetes' mount-utils executes. */
export const variantNames = ['ours', 'tool', 'mountUtils'] as const
export type VariantName = (typeof variantNames)[number]

/** What a runner is told. */
export interface RunnerSpec {
  readonly cases: readonly GrowthCase[]
  /** Where it writes its {@link RunnerOutput}. */
  readonly output: string
  /** Where the images are made; left out: the temporary directory. */
  readonly scratch?: string
  /** It runs in a PID namespace of its own. */
  readonly isolated: boolean
}

/** One way to grow, once. */
export interface Sample {
  readonly milliseconds: number
  readonly processes: number
}

export interface StallSample {
  /** The writer's longest write and fsync that met the growth, in milliseconds. */
  readonly longest: number
  /** The same in a window of the same length right before it. */
  readonly before: number
}

/** Samples of each variant, by round; a variant that cannot do this case is left out. */
export type ByVariant<Value> = { readonly [Name in VariantName]?: readonly Value[] }

export interface CaseResult {
  readonly growthCase: GrowthCase
  readonly growth: ByVariant<Sample>
  readonly nothingToDo: ByVariant<Sample>
  readonly stall: ByVariant<StallSample>
  readonly cold: ByVariant<Pick<Sample, 'milliseconds'>>
}

export interface RunnerOutput {
  readonly kernel: string
  readonly tools: readonly string[]
  /** Whether processes were counted by the kernel, with those that a child starts; otherwise as Node.js started them. */
  readonly countedByKernel: boolean
  readonly cases: readonly CaseResult[]
}
