/** One line of /proc/PID/mountinfo, with its escapes decoded. The format is that of proc_pid_mountinfo(5). */
export interface MountEntry {
  readonly id: number
  /** Id of the mount that it is mounted on. */
  readonly parent: number
  /** `major:minor` of the mounted filesystem. */
  readonly dev: string
  /** What of the filesystem is mounted. */
  readonly root: string
  readonly mountPoint: string
  readonly options: readonly string[]
  readonly type: string
  readonly source: string
  readonly superOptions: readonly string[]
}

/** Undoes the octal escapes (`\040` and the like) that the kernel writes for white space and backslashes in paths. */
export function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** The mounts of a namespace in the kernel's order; lines that are not understood are left out. */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const entries: MountEntry[] = []
  for (const line of text.split('\n')) {
    const entry = parseLine(line)
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

function parseLine(line: string): MountEntry | undefined {
  // The optional fields between the options and the lone hyphen have no fixed number.
  const separator = line.indexOf(' - ')
  if (separator < 0) return undefined
  const [id, parent, dev, root, mountPoint, options] = line.slice(0, separator).split(' ')
  const [type, source, superOptions] = line.slice(separator + 3).split(' ')
  if (dev === undefined || root === undefined || mountPoint === undefined || type === undefined) return undefined
  if (!/^\d{1,10} \d{1,10} \d{1,10}:\d{1,10} \S+ \/\S* /.test(`${line} `) || type === '') return undefined
  return {
    id: Number(id),
    parent: Number(parent),
    dev,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options === undefined ? [] : options.split(','),
    type,
    source: unescapeOctal(source ?? ''),
    superOptions: superOptions === undefined ? [] : superOptions.split(','),
  }
}

/** Whether `path` is `directory` or below it; both absolute and free of links. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/**
 * The mount that a resolved absolute path is on: the mounts are walked as the kernel walks them, from the root over whatever is mounted on the way, so that a
 * mount covered by another one is never taken for it. Undefined when the namespace's root is not among the entries, as in a chroot.
 */
export function mountOf(entries: readonly MountEntry[], path: string): MountEntry | undefined {
  const ids = new Set(entries.map((entry) => entry.id))
  let mount = entries.find((entry) => entry.mountPoint === '/' && (!ids.has(entry.parent) || entry.parent === entry.id))
  const walked = new Set<number>()
  while (mount !== undefined && !walked.has(mount.id)) {
    walked.add(mount.id)
    const next = nearestChild(entries, mount.id, path)
    if (next === undefined) return mount
    mount = next
  }
  return mount
}

function nearestChild(entries: readonly MountEntry[], parent: number, path: string): MountEntry | undefined {
  let nearest: MountEntry | undefined
  for (const entry of entries) {
    if (entry.parent !== parent || entry.id === parent || !isWithin(path, entry.mountPoint)) continue
    if (nearest === undefined || entry.mountPoint.length < nearest.mountPoint.length) nearest = entry
  }
  return nearest
}
