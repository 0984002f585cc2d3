/** An entry of an archive in the format that the kernel unpacks at boot (Documentation/driver-api/early-userspace/buffer-format.rst). */
export interface CpioEntry {
  readonly path: string
  /** Left out: a directory. */
  readonly content?: Uint8Array
  readonly executable?: boolean
}

const directoryType = 0o040000
const fileType = 0o100000

export function cpio(entries: readonly CpioEntry[]): Buffer {
  const all = entries.map((entry, index) => member(entry, index + 1))
  return Buffer.concat([...all, member({ path: 'TRAILER!!!', content: new Uint8Array() }, 0)])
}

function member({ path, content, executable = false }: CpioEntry, inode: number): Buffer {
  const mode = content === undefined ? directoryType | 0o755 : fileType | (executable ? 0o755 : 0o644)
  const name = Buffer.from(`${path}\0`)
  const links = content === undefined ? 2 : 1
  // Inode, mode, owner, group, links, time, size, numbers of two devices, length of the name, and a checksum that this format does not use.
  const fields = [inode, mode, 0, 0, links, 0, content?.length ?? 0, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return Buffer.concat([padded(Buffer.concat([header, name])), padded(content ?? Buffer.alloc(0))])
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
