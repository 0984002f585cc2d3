import { ext } from './ext/index.ts'
import type { FilesystemResizer } from './filesystem.ts'
import { xfs } from './xfs/index.ts'

/** The resizers that are tried without being asked for. */
export const resizers: readonly FilesystemResizer[] = [ext, xfs]
