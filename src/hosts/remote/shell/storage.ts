/** The walk through a place in the storage. POSIX shell, as dash, bash and busybox have it. */
export const storageScript: string = `# What is probably asked for, collected by one walk. Whoever reads it looks at it again, and asks for what is missing.
fact() {
  mark k "$1"
  printf %s "$2" >&4
}

# The text of an attribute, without a process of its own.
slurp() {
  V=
  [ -f "$1" ] || return 1
  { while IFS= read -r line; do V=$V$line$N; done; V=$V$line; } 2>/dev/null <"$1" || return 1
  [ "$V" ] || head -c 1 "$1" >/dev/null 2>&1
}

text() {
  fact text "$1"
  if slurp "$1"; then given 0 "$V"; else given 1 ''; fi
}

names() {
  fact list "$1"
  mark v
  L=''
  for entry in "$1"/*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    entry=\${entry##*/}
    L="$L$entry/"
  done
  printf %s "$L" >&4
  mark s 0
}

look() {
  case $looked in *"$N$1$N"*) return ;; esac
  looked="$looked$N$1$N"
  fact stat "$1"
  stat_of "$1"
}

sizes() {
  fact statfs "$1"
  statfs_of "$1"
}

stretch() {
  mark k range "$2" "$3"
  printf %s "$1" >&4
  unit=65536
  while [ $(($2 % unit)) -ne 0 ] || [ $(($3 % unit)) -ne 0 ]; do unit=$((unit / 2)); done
  range_of "$1" "$unit" $(($2 / unit)) $(($3 / unit))
}

# Past the kernel's cache; a dd that cannot do it says so.
direct() {
  mark k direct "$2" "$3"
  printf %s "$1" >&4
  value dd "if=$1" "bs=$3" "skip=$(($2 / $3))" count=1 iflag=direct
}

# node size
probe() {
  for range in $ranges; do
    from=\${range%%:*} range=\${range#*:}
    offset=\${range%%:*} range=\${range#*:}
    align=\${range%%:*} length=\${range#*:}
    if [ "$from" = end ]; then
      start=$(($2 / align * align - offset))
      [ "$start" -lt 0 ] && [ "$align" -eq 1 ] && start=0
    else
      start=$offset
    fi
    { [ "$start" -lt 0 ] || [ "$start" -ge "$2" ]; } && continue
    [ $(($2 - start)) -lt "$length" ] && length=$(($2 - start))
    stretch "$1" "$start" "$length"
  done
  # What is behind the end of the filesystem, and the block by which ext keeps a second machine out.
  hex_of "$1" dd "if=$1" bs=2048 count=1 || return
  case $H in *4c4142454c4f4e45*) lvm=1 ;; esac
  behind=32768 room=2048 block=''
  if [ "$H" != "\${H#58465342}" ]; then
    H=\${H#????????}
    four=\${H%"\${H#????????}"} H=\${H#????????}
    eight=\${H%"\${H#????????????????}"}
    behind=$((0x$eight * 0x$four)) room=131072
    xfs_backups "$1" "$2"
  else
    set -- "$1" "$2" "$H"
    ext_ends "$1"
  fi
  case $behind in -*) return ;; esac
  if [ "$room" -eq 2048 ] || [ $((behind + 131072)) -lt "$2" ]; then
    [ $((behind + room)) -le "$2" ] && stretch "$1" "$behind" "$room"
  fi
  [ "$block" ] && [ "$block" -ge 0 ] && [ $((block + 1024)) -le "$2" ] && stretch "$1" "$block" 1024
}

# The last ones of them. sb_agblocks and sb_agcount are 68 bytes further on; H begins behind sb_dblocks.
xfs_backups() {
  H=\${H#????????????????}
  passed=0
  while [ "$passed" -lt 68 ]; do H=\${H#????????} passed=$((passed + 4)); done
  eight=\${H%"\${H#????????}"} H=\${H#????????}
  group=$((0x\${H%"\${H#????????}"}))
  behind_group=$((0x$eight * 0x$four))
  first=$((group > 16 ? group - 16 : 1))
  while [ "$first" -lt "$group" ]; do
    offset=$((first * behind_group)) first=$((first + 1))
    { [ "$offset" -le 0 ] || [ $((offset + 4096)) -gt "$2" ]; } && return
    [ $((offset % 4096)) -eq 0 ] && direct "$1" "$offset" 4096
  done
}

ext_ends() {
  set -- $(dd "if=$1" bs=1024 skip=1 count=1 2>/dev/null | od -An -v -tu1)
  [ $# -eq 1024 ] && [ "\${57} \${58}" = '83 239' ] || return
  # s_blocks_count, s_log_block_size, s_feature_incompat with 64bit and mmp, s_mmp_block
  size=$((1024 << \${25}))
  blocks=$(($5 + ($6 << 8) + ($7 << 16) + ($8 << 24)))
  [ $((\${97} & 128)) -ne 0 ] && blocks=$((blocks + (\${337} << 32) + (\${338} << 40) + (\${339} << 48)))
  behind=$((blocks * size)) room=131072
  [ $((\${98} & 1)) -ne 0 ] && block=$(((\${361} + (\${362} << 8) + (\${363} << 16) + (\${364} << 24) + (\${365} << 32)) * size))
}

# A block device by its number: all that sysfs shows of it, and what is below it.
device() {
  case " $walked " in *" $1 "*) eval "below=$below_\${1%:*}_\${1#*:} above=$above_\${1%:*}_\${1#*:}"; return ;; esac
  walked="$walked $1" below='' above=''
  folder=/sys/dev/block/$1
  names "$folder"
  entries=/$L
  [ "$L" ] || return
  text "$folder/uevent"
  name=\${V#*DEVNAME=}
  name=\${name%%"$N"*}
  text "$folder/size"
  sectors=\${V%"$N"}
  look "/dev/$name"
  case $entries in */device/*) names "$folder/device"; inner=/$L ;; *) inner=/ ;; esac
  mapping=''
  for attribute in $attributes; do
    case $attribute in
      device/*) case $inner in *"/\${attribute#device/}/"*) text "$folder/$attribute" ;; esac ;;
      */*)
        case $entries in *"/\${attribute%%/*}/"*)
          text "$folder/$attribute"
          [ "$attribute" = dm/uuid ] && mapping=$V
          ;;
        esac
        ;;
      *) case $entries in *"/$attribute/"*) text "$folder/$attribute" ;; esac ;;
    esac
  done
  case $inner in */vpd_pg80/*) fact bytes "$folder/device/vpd_pg80"; file_of "$folder/device/vpd_pg80" ;; esac
  case $entries in */partition/*) text "$folder/../dev"; below="$below \${V%"$N"}" ;; esac
  case $entries in */slaves/*)
    names "$folder/slaves"
    walk_names=$L
    while [ "$walk_names" ]; do
      text "$folder/slaves/\${walk_names%%/*}/dev"
      below="$below \${V%"$N"}"
      walk_names=\${walk_names#*/}
    done
    ;;
  esac
  case $entries in */holders/*)
    names "$folder/holders"
    walk_names=$L
    while [ "$walk_names" ]; do
      above="$above holders/\${walk_names%%/*}"
      walk_names=\${walk_names#*/}
    done
    ;;
  esac
  walk_names=\${entries#/}
  while [ "$walk_names" ]; do
    case $walk_names in "\${name##*/}"*)
      text "$folder/\${walk_names%%/*}/partition"
      if [ "$V" ]; then
        above="$above \${walk_names%%/*}"
        for attribute in $slices; do text "$folder/\${walk_names%%/*}/$attribute"; done
      fi
      ;;
    esac
    walk_names=\${walk_names#*/}
  done
  eval "below_\${1%:*}_\${1#*:}=$below above_\${1%:*}_\${1#*:}=$above"
  case $mapping in LVM-*) lvm=1 ;; esac
}

# From a device up, as long as there is one way; the last one is the top.
climb() {
  top=$1
  while :; do
    device "$top"
    folder=/sys/dev/block/$top next='' others=''
    for entry in $above; do
      text "$folder/$entry/dev"
      [ "$next" ] && others="$others $next"
      next=\${V%"$N"}
    done
    [ "$next" ] || return
    for id in $others $next; do device "$id"; done
    [ "$others" ] && return
    devices "$next"
    top=$next
  done
}

# Devices, their bytes, and everything below them.
devices() {
  queue=$1
  while [ "$queue" ]; do
    set -- $queue
    [ $# -gt 0 ] || return
    id=$1
    shift
    queue=$*
    case " $probed " in *" $id "*) continue ;; esac
    probed="$probed $id"
    device "$id"
    queue="$queue $below"
    slurp "/sys/dev/block/$id/size" || continue
    sectors=\${V%"$N"}
    slurp "/sys/dev/block/$id/uevent"
    name=\${V#*DEVNAME=}
    probe "/dev/\${name%%"$N"*}" $((sectors * 512))
  done
}

# Sets id to the number of a block device, and kind to what a path is.
identify() {
  id='' kind='' major=''
  set -- $(stat -L -c '%f %t %T %D' "$1" 2>/dev/null)
  [ $# -eq 4 ] || return
  case $1 in
    6???) kind=block id=$((0x$2)):$((0x$3)) ;;
    8???) kind=file ;;
    *) kind=other ;;
  esac
  major=$(((0x$4 >> 8) & 0xfff)) minor=$(((0x$4 & 0xff) | ((0x$4 >> 12) & 0xffffff00)))
}

loops() {
  names /sys/block
  rest=$L over=''
  while [ "$rest" ]; do
    loop=\${rest%%/*} rest=\${rest#*/}
    case $loop in loop*) ;; *) continue ;; esac
    folder=/sys/block/$loop
    names "$folder"
    [ -d "$folder/loop" ] || continue
    for attribute in dev ro size loop/offset loop/backing_file; do text "$folder/$attribute"; done
    backing=\${V%"$N"}
    look "$backing"
    if [ "$backing" -ef "$1" ]; then
      slurp "$folder/dev"
      over="$over \${V%"$N"}"
    fi
  done
}

image() {
  look "$1"
  [ "$kind" = file ] || return
  loops "$1"
  if [ "$over" ]; then
    devices "$over"
    climb "\${over##* }"
    return
  fi
  # Everything about an image goes by its real path.
  real=$(readlink -f "$1"; echo x)
  real=\${real%"$N"x}
  set -- "$real"
  look "$1"
  writable "$1"
  probe "$1" "$(stat -L -c %s "$1")"
  sizes "$1"
  users file "$1" "$(stat -L -c %i "$1")" ''
  locked=1
}

node() {
  look "$1"
  identify "$1"
  found_id=$id
  case $kind in
    block) devices "$id"; climb "$found_id" ;;
    file) image "$1" ;;
  esac
}

# Whether a device shows all of the attributes: its number, how many words follow, and as pairs what to look for.
marked() {
  shows=/sys/dev/block/$1 words=$2
  [ "$words" -gt 0 ] || return 1
  shift 2
  while [ "$words" -gt 0 ]; do
    slurp "$shows/$1" || return 1
    [ "\${V%"$N"}" = "$2" ] || return 1
    shift 2
    words=$((words - 2))
  done
}

# serial wwn, and what marked takes
disks() {
  wanted_serial=$1 wanted_wwn=$2
  shift 2
  names /sys/block
  rest=$L
  while [ "$rest" ]; do
    disk=\${rest%%/*} rest=\${rest#*/}
    text "/sys/block/$disk/dev"
    id=\${V%"$N"}
    device "$id"
    fits=
    for attribute in serial device/serial wwid device/wwid nguid eui; do
      [ -f "/sys/dev/block/$id/$attribute" ] && slurp "/sys/dev/block/$id/$attribute" || continue
      V=\${V%"$N"}
      while :; do case $V in ' '*) V=\${V# } ;; *' ') V=\${V% } ;; *) break ;; esac; done
      [ "$wanted_serial" ] && case $V in "$wanted_serial"*) fits=1 ;; esac
      [ "$wanted_wwn" ] && case $V in *"$wanted_wwn") fits=1 ;; esac
    done
    page=/sys/dev/block/$id/device/vpd_pg80
    if [ "$wanted_serial" ] && [ -f "$page" ]; then
      V=$(tail -c +5 "$page" 2>/dev/null | tr -d '\\000')
      while :; do case $V in ' '*) V=\${V# } ;; *' ') V=\${V% } ;; *) break ;; esac; done
      case $V in "$wanted_serial"*) fits=1 ;; esac
    fi
    marked "$id" "$@" && fits=1
    if [ "$fits" ]; then found_id=$id; devices "$id"; climb "$found_id"; fi
  done
}

# locks, kind, path or hints (path image serial wwn, attributes with their values and their count before them), and names under by-id
storage() {
  locked=$1
  walked='' probed='' looked='' lvm='' top=''
  shift
  for path in /proc/sys/kernel/osrelease /proc/self/status; do text "$path"; done
  page_size
  # Read at once, and once: line by line it would miss some while others come and go.
  mounts=$(cat /proc/self/mountinfo)
  fact text /proc/self/mountinfo
  given 0 "$mounts$N"
  case $1 in
    path)
      look "$2"
      identify "$2"
      if [ "$kind" ] && [ "$major" -ne 0 ]; then
        top=$major:$minor
        devices "$top"
      fi
      ;;
    device) node "$2" ;;
    image) identify "$2"; image "$2" ;;
    hints)
      [ "$2" ] && node "$2"
      [ "$3" ] && { identify "$3"; image "$3"; }
      named=$2$3
      shift 3
      if [ -z "$named" ] && { [ "$1$2" ] || [ "$3" -gt 0 ]; }; then disks "$@"; fi
      marks=$3
      shift 3
      shift "$marks"
      for path; do look "/dev/disk/by-id/$path"; done
      ;;
  esac
  [ "$lvm" ] && report_lvm
  mounted
  if [ "$top" ]; then
    case $seen in
      *" $top "*) ;;
      *)
        locked=1
        slurp "/sys/dev/block/$top/uevent"
        name=\${V#*DEVNAME=}
        name=/dev/\${name%%"$N"*}
        users block "$top" "$(stat -L -c %i "$name")" "$name"
        ;;
    esac
  fi
  [ "$locked" ] && held_locks
}

report_lvm() {
  fact lvm ''
  value lvm_report
}

writable() {
  fact writable "$1"
  if [ -w "$1" ]; then given 0 1; else given 0 ''; fi
}

# The first argument is the number of those that are its own.
storage_of() {
  storage_count=$1 storage_index=2 storage_parts=''
  while [ "$storage_index" -le $((storage_count + 1)) ]; do
    storage_parts="$storage_parts \\"\\\${$storage_index}\\""
    storage_index=$((storage_index + 1))
  done
  eval "storage $storage_parts"
}

page_size() {
  fact page ''
  V=''
  while read -r word amount rest; do
    case $word in KernelPageSize:) V=$amount; break ;; esac
  done 2>/dev/null </proc/self/smaps
  given 0 "$V"
}

# The sizes of what is mounted of the devices that were met.
mounted() {
  seen=' '
  set -f
  separators=$IFS IFS=$N
  for line in $mounts; do
    rest=\${line#* * }
    dev=\${rest%% *}
    rest=\${rest#* * }
    point=\${rest%% *}
    case " $probed " in *" $dev "*) ;; *) continue ;; esac
    seen="$seen$dev "
    point=$(printf '%bx' "$point")
    IFS=$separators
    sizes "\${point%x}"
    IFS=$N
  done
  IFS=$separators
  set +f
}

held_locks() {
  fact text /proc/locks
  file_of /proc/locks
  while read -r number type rest; do
    [ "$type" = FLOCK ] || continue
    set -- $rest
    text "/proc/$3/comm"
  done </proc/locks
}
`
