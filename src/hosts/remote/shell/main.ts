/** Does the items of one batch after the other, until the input ends. POSIX shell, as dash, bash and busybox have it. */
export const mainScript: string = `while :; do
set --
complete=
while IFS= read -r line <&3; do
  case $line in
    '#run') complete=1; break ;;
    -*) set -- "$@" "\${line#-}" ;;
    *\\\\*) line=$(printf '%bx' "\${line#.}"); set -- "$@" "\${line%x}" ;;
    *) set -- "$@" "\${line#.}" ;;
  esac
done
[ "$complete" ] || exit 1
B=$1 S=$2 runtime=$3 places=$4 needed=$5 keep=$6 failed=$7
shift 7
attributes=$1 slices=$2 ranges=$3
shift 3

mark shell
absent=
for name in $needed; do
  command -v "$name" >/dev/null 2>&1 || absent="$absent $name"
done
if [ "$absent" ]; then
  mark absent$absent
  exit 1
fi
watcher='' memory='' opened=0
while [ $# -gt 0 ]; do
  mark i
  case $1 in
    file) file_of "$2"; shift 2 ;;
    range) range_of "$2" "$3" "$4" "$5"; shift 5 ;;
    stat) stat_of "$2"; shift 2 ;;
    statfs) statfs_of "$2"; shift 2 ;;
    expect-file)
      if hex_of "$2" head -c 1048576 "$2"; then trim_hex; expected "$H" "$3"; else unread; fi
      shift 3
      ;;
    expect-range)
      if hex_of "$2" dd "if=$2" "bs=$3" "skip=$4" "count=$5"; then expected "$H" "$6"; else unread; fi
      shift 6
      ;;
    expect-stat)
      if H=$(stat -L -c '%D:%i:%t:%T' "$2" 2>/dev/null); then expected "$H" "$3"; else unread; fi
      shift 3
      ;;
    tools)
      count=$2
      shift 2
      while [ "$count" -gt 0 ]; do
        locate_tool "$1"
        given 0 "$T"
        shift
        count=$((count - 1))
      done
      ;;
    exec) parameters=$2; shift 2; execute "$@"; shift "$parameters" ;;
    storage)
      parameters=$2
      shift 2
      # The bytes of disks are mostly zeros.
      if command -v gzip >/dev/null 2>&1; then
        mark z
        storage_of "$parameters" "$@" 4>&1 | gzip -1 -c >&4
      else
        storage_of "$parameters" "$@"
      fi
      shift "$parameters"
      ;;
    text) text "$2"; shift 2 ;;
    list) names "$2"; shift 2 ;;
    bytes) fact bytes "$2"; file_of "$2"; shift 2 ;;
    look) looked=''; look "$2"; shift 2 ;;
    sizes) sizes "$2"; shift 2 ;;
    stretch) stretch "$2" "$3" "$4"; shift 4 ;;
    direct) direct "$2" "$3" "$4"; shift 4 ;;
    page) page_size; shift ;;
    lvm) report_lvm; shift ;;
    writable) writable "$2"; shift 2 ;;
    users) users "$2" "$3" "$4" "$5"; shift 5 ;;
    *) exit 1 ;;
  esac
done
mark end
# What would be sent next is not for those who have looked whether the input ends.
[ "$watcher" ] && { kill "$watcher"; exit 0; }
[ "$keep" ] || exit 0
done
`
