import type { ToolNeed } from '../layer.ts'

export const partitionTools: readonly ToolNeed[] = [
  { name: 'sh', packages: 'dash or bash' },
  { name: 'sfdisk', packages: 'fdisk (Debian), util-linux (RPM)' },
  { name: 'resizepart', packages: 'util-linux' },
]

/** How the script ends when it did not do what it should: what it says itself is on its error output. */
export const partitionExit = { changed: 83, table: 84, putBack: 85, forward: 86, notPutBack: 87 } as const

/** A partition in the table: its number there, and its sectors before and after. */
export interface Resize {
  readonly number: number
  readonly before: bigint
  readonly after: bigint
}

export interface PartitionGrowth {
  readonly disk: string
  readonly partition: Resize
  /** The extended partition around a logical one, when it has to become larger as well. */
  readonly around?: Resize
  /** The file in which the kernel shows the size of the partition, what it has to say before, and what afterwards: units of 512 bytes. */
  readonly shown: { readonly path: string; readonly before: bigint; readonly after: bigint }
}

const script: string = [
  'disk=$1 number=$2 old=$3 new=$4 shown=$5 before=$6 after=$7 around=$8 around_old=$9',
  'shift 9; around_new=$1',
  // sfdisk would wait for the lock that is held here.
  'unset LOCK_BLOCK_DEVICE',
  'resize() {',
  '  printf "size=%s\\n" "$2" |',
  '    sfdisk --quiet --no-reread --no-tell-kernel --wipe never --wipe-partitions never -N "$1" "$disk"',
  '}',
  'put_back() {',
  '  if resize "$number" "$old" && { [ -z "$around" ] || resize "$around" "$around_old"; }; then',
  '    echo "The table was put back." >&2',
  '    exit "$1"',
  '  fi',
  '  echo "The table could not be put back." >&2',
  `  exit ${partitionExit.notPutBack}`,
  '}',
  'if [ "$(cat "$shown")" != "$before" ]; then',
  '  echo "The kernel shows another size than before." >&2',
  `  exit ${partitionExit.changed}`,
  'fi',
  'if [ -n "$around" ]; then',
  `  resize "$around" "$around_new" || put_back ${partitionExit.table}`,
  'fi',
  `resize "$number" "$new" || put_back ${partitionExit.table}`,
  'resizepart "$disk" "$number" "$after" && exit 0',
  'if [ "$(cat "$shown")" = "$before" ]; then',
  '  echo "The kernel refused the new size." >&2',
  `  put_back ${partitionExit.putBack}`,
  'fi',
  'echo "The kernel shows another size than before: the larger table stays." >&2',
  `exit ${partitionExit.forward}`,
].join('\n')

/**
 * Changes the table, tells the kernel, and puts the table back when the kernel refuses, but only while the kernel still shows the old size: from then on a filesystem
 * may already use what is new, and the larger table is the true one. All of it is one command, because its caller may die between any two. Run again after any
 * interruption it does what is left.
 *
 * sfdisk moves the other copy of a GPT to the end of the disk by itself, leaves what the partitions hold alone when it is told to, and writes no file. resizepart
 * (BLKPG_RESIZE_PARTITION) tells the kernel of a partition that is in use.
 */
export function partitionGrowth({ disk, partition, around, shown }: PartitionGrowth): readonly string[] {
  const { number, before, after } = partition
  const own = [disk, number, before, after, shown.path, shown.before, shown.after]
  const outer = around === undefined ? ['', '', ''] : [around.number, around.before, around.after]
  return ['sh', '-c', script, 'sh', ...[...own, ...outer].map((argument) => `${argument}`)]
}
