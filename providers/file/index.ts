import { type Volume, volumeOf } from '../../src/expander.ts'
import { fileExpander } from './expander.ts'

/** Volumes that are files of this machine. */
export interface FileProvider {
  /**
   * The volume that is the file at `path`: sparse or not, attached as a loop device or used as an image. It has to exist before it is grown; what is added
   * reads as zeros and takes no room until it is written.
   *
   * @param path absolute; symbolic links are followed. Taken as it is: no character in it means anything but itself.
   * @throws {VolumeExpansionError} `invalid-reference`: relative, empty, with a NUL character, or the name of a directory
   */
  volume(path: string): Volume
}

/**
 * The provider of files on this machine: a backend that needs nothing but a filesystem. Growing works without any privilege for whoever may write
 * the file, never shrinks, and is on stable storage when it returns.
 */
export function file(): FileProvider {
  const expander = fileExpander()
  return { volume: (path) => volumeOf(expander, path) }
}
