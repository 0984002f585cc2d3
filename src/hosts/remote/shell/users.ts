/** A look at all processes for those that have a device or file. POSIX shell, as dash, bash and busybox have it. */
export const usersScript: string = `# Who has a device or a file: every process is looked at by what the shell itself can test.
# block major:minor inode, or file path inode
users() {
  wanted=$2 inode=$3
  fact users "$1 $2"
  spaces='' hanging=' ' unseen=''
  hangs /proc/self/mountinfo
  for process in /proc/[0-9]*; do
    [ -e "$process/ns/mnt" ] || continue
    [ "$process/ns/mnt" -ef /proc/self/ns/mnt ] && continue
    known=
    for space in $spaces; do
      [ "$process/ns/mnt" -ef "/proc/$space/ns/mnt" ] && { known=1; break; }
    done
    [ "$known" ] && continue
    spaces="$spaces \${process#/proc/}"
    hangs "$process/mountinfo"
  done
  for process in /proc/[0-9]*; do
    if ! [ -e "$process/ns/mnt" ] || ! [ -r "$process/fd" ]; then
      unseen="$unseen $process"
      continue
    fi
    for descriptor in "$process"/fd/*; do
      info=$process/fdinfo/\${descriptor##*/} flags='' mount=''
      if [ "$hanging" != ' ' ]; then
        describe
        case $hanging in *" $mount "*) continue ;; esac
      fi
      if [ "$1" = block ]; then
        [ -b "$descriptor" ] || continue
        number=$(stat -L -c '0x%t 0x%T' "$descriptor" 2>/dev/null)
        [ "$number" ] && [ $((\${number% *})):$((\${number#* })) = "$wanted" ] || continue
      else
        [ "$descriptor" -ef "$wanted" ] || continue
      fi
      [ "$flags" ] || describe
      [ "$flags" ] || continue
      [ $((flags & 010000000)) -ne 0 ] && continue
      mark u open "\${process#/proc/}" $(((flags & 3) != 0))
    done
  done
  mark u spaces$spaces
  mark u unseen
  [ "$unseen" ] && stat -c '%n %u' $unseen >&4 2>/dev/null
  mark u maps
  grep -s " $inode " /proc/[0-9]*/maps >&4 2>/dev/null
  mark u pids "$(readlink /proc/self/ns/pid)"
  if [ "$1" = block ]; then
    mark u exclusive
    exclusive "$4"
  fi
  mark s 0
  for space in $spaces; do
    fact text "/proc/$space/mountinfo"
    file_of "/proc/$space/mountinfo"
    text "/proc/$space/comm"
  done
  for process in $unseen; do
    text "$process/status"
    text "$process/comm"
  done
  text /proc/swaps
}

describe() {
  while read -r word amount rest; do
    case $word in
      flags:) flags=$amount ;;
      mnt_id:) mount=$amount ;;
    esac
  done 2>/dev/null <"$info"
} 2>/dev/null

hangs() {
  while read -r number parent dev root point rest; do
    case \${rest#*- } in
      nfs\\ * | nfs4\\ * | cifs\\ * | smb\\ * | smb3\\ * | smbfs\\ * | ceph\\ * | 9p\\ * | virtiofs\\ * | afs\\ * | coda\\ * | ncpfs\\ * | lustre\\ * | beegfs\\ * | \\
        orangefs\\ * | gfs2\\ * | ocfs2\\ * | autofs\\ * | fuse\\ * | fuse.* | fuseblk\\ *) hanging="$hanging$number " ;;
    esac
  done 2>/dev/null <"$1"
} 2>/dev/null

# The shell cannot open exclusively. Where neither of these is there, it stays unknown.
exclusive() {
  if command -v perl >/dev/null 2>&1; then
    perl -e 'use Fcntl; use Errno; print(sysopen(my $f, $ARGV[0], O_RDONLY | O_EXCL | O_NONBLOCK) ? "free" : $!{EBUSY} ? "busy" : "")' "$1" >&4 2>/dev/null
  elif command -v python3 >/dev/null 2>&1; then
    python3 -I -c 'import errno, os, sys
try: os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK); print("free", end="")
except OSError as error: print("busy" if error.errno == errno.EBUSY else "", end="")' "$1" >&4 2>/dev/null
  fi
}
`
