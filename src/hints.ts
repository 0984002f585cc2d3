/** How a host recognises the device of a volume. Every hint that is given has to fit. */
export interface DeviceHints {
  /** Id of the only host that can have it, for a volume that is a part of one machine. Left out: every host may have it. */
  readonly host?: string
  /** Names under /dev/disk/by-id, any of which may exist; never believed without the other hints. */
  readonly byId?: readonly string[]
  /** The serial that the device shows in sysfs. */
  readonly serial?: string
  /** Buses that have room for so many characters of the serial show only these; a device that shows exactly them fits as well. */
  readonly serialCutAt?: number
  /** The world wide name that the device shows in sysfs. */
  readonly wwn?: string
  /** Absolute path of the file that is the volume: a loop device over it, or the file itself as an image. */
  readonly image?: string
  /** A device path that the provider knows for certain. */
  readonly path?: string
  /** Attributes below the device's directory in sysfs, such as `device/pool` of an RBD image, with the text that each of them has to have. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Its mount, for a provider whose volumes are seen as mounts. */
  readonly mount?: MountHints
}

/** How a host recognises the mount of a volume that is a network filesystem. */
export interface MountHints {
  /** The type as in mountinfo, such as `fuse.glusterfs`. */
  readonly type: string
  /** What the server calls the volume: the source `server:/export`, with or without the slash, or with a directory behind it. */
  readonly export: string
  /**
   * Groups of files below the mount point. The texts of one group, joined by a colon, have to be one of `equals`: a proof that a name is not. When it is given and no
   * group gives it, the mount is not believed. Left out: the export's name is unique by itself.
   */
  readonly proof?: { readonly files: readonly (readonly string[])[]; readonly equals: readonly string[] }
  /** Whether the mount shows exactly the size that the backend gives. Left out: somewhat less, by what the storage needs for itself. */
  readonly exact?: boolean
}
