/** One partition as the table on the disk has it. */
export interface TableEntry {
  readonly number: number
  /** In sectors of the table. */
  readonly start: bigint
  /** In sectors of the table; the first one that does not belong to it any more. */
  readonly end: bigint
  /** `extended` holds `logical` ones. */
  readonly role: 'primary' | 'extended' | 'logical'
  /** What tells it from every other one: its GUID, or the disk's signature with its number; as the table has it, in hexadecimal. */
  readonly uuid?: string
}

/** A disk's partition table. */
export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr'
  /** Bytes of the sectors in which it counts. */
  readonly sector: bigint
  readonly entries: readonly TableEntry[]
  /** The first sector behind the place for partitions on a disk of so many sectors. */
  readonly endOn: (sectors: bigint) => bigint
  /** The largest `end` that it can express; left out where no disk is so large. */
  readonly most?: bigint
  /** What makes it unsafe to write to it. */
  readonly problems: readonly string[]
  /** What is written over when it is changed, so that it can be expected right before that. */
  readonly written: readonly { readonly offset: bigint; readonly bytes: Uint8Array }[]
}

/** Pairs of partitions that share sectors; an extended one and those in it do not count. */
export function overlaps(entries: readonly TableEntry[]): readonly string[] {
  const found: string[] = []
  const sorted = [...entries].sort((a, b) => (a.start < b.start ? -1 : 1))
  for (const [index, entry] of sorted.entries()) {
    for (const later of sorted.slice(index + 1)) {
      const contains = entry.role === 'extended' && later.role === 'logical'
      if (later.start < entry.end && !contains) found.push(`partitions ${entry.number} and ${later.number} overlap`)
      if (contains && later.end > entry.end) found.push(`partition ${later.number} ends behind the extended one`)
    }
  }
  return found
}
