/** What the demo needs to know of one kind of filesystem. */
export interface Kind {
  readonly name: string
  /** As mount(8) knows it. */
  readonly type: string
  readonly packageName: string
  /** Size of the volume before it is grown. */
  readonly size: string
  /** How many files of data it gets. */
  readonly files: number
  readonly makeTool: string
  /** Makes the filesystem in an image; with the files of a directory, where the tool can do that without a mount. */
  make(image: string, directory?: string): Promise<void>
  readonly checkTool: string
  /** Looks for damage, and repairs none. @returns undefined when the filesystem is clean, else what was found */
  check(image: string): Promise<string | undefined>
  /** Options that mounting for a look takes. */
  readonly lookOptions: readonly string[]
  /** How to work with an image that cannot be mounted; left out where nothing can. */
  readonly unmounted?: {
    readonly usageTool: string
    /** The whole filesystem: what df leaves out, its own tables, is counted here. */
    usage(image: string): Promise<Usage>
    /** Copies the files of the data directory out of the image, to the same directory below `into`. */
    readBack(image: string, names: readonly string[], into: string): Promise<void>
  }
}

/** What df shows: bytes. */
export interface Usage {
  readonly size: bigint
  readonly available: bigint
}
