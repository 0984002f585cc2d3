/** Does the items in their order. POSIX shell, as dash, bash and busybox have it. */
export const mainScript: string = `failed=$1 attributes=$2 slices=$3 ranges=$4
shift 4
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
[ "$watcher" ] && kill "$watcher"
exit 0
`
