/** Reads what is asked for, and the reads and expectations of a batch. POSIX shell, as dash, bash and busybox have it. */
export const coreScript: string = `exec 3<&0 4>&1 </dev/null
cd / || exit
umask 077
unset PWD OLDPWD SHLVL _
N='
'
mark() {
  printf '\\n%s %s\\n' "$B" "$*" >&4
}

# The output of a command, and then how it ended, in its own words.
value() {
  mark v
  words=$("$@" 2>&1 >&4 3<&- 4>&-)
  code=$?
  if [ "$code" -ne 0 ] && [ "$S" ]; then
    case $words in
      *'ermission denied'* | *'not permitted'*)
        # What sudo refuses stays what it was without it.
        again=$(sudo -n -- "$@" 2>&1 >&4 3<&- 4>&-)
        code=$?
        case $again in sudo:*) ;; *) words=$again ;; esac
        ;;
    esac
  fi
  mark s "$code"
  printf %s "$words" >&4
}

given() {
  mark v
  printf %s "$2" >&4
  mark s "$1"
}

file_of() {
  if [ -p "$1" ]; then
    # Whoever waits for its other end would wait for ever.
    given 0 ''
  elif [ -d "$1" ]; then
    given 1 ''
    printf ': Is a directory' >&4
  else
    value head -c 1048576 "$1"
  fi
}

range_of() {
  value dd "if=$1" "bs=$2" "skip=$3" "count=$4"
}

stat_of() {
  value stat -L -c '%f %D %t %T %i %s %u' "$1"
  value readlink -f "$1"
}

statfs_of() {
  value stat -f -c '%t %s %b %f %a' "$1"
}

# Bytes in hexadecimal; a Z after them shows that all of them could be read.
hex_of() {
  path=$1
  shift
  if [ "$S" ] && ! [ -r "$path" ]; then set -- sudo -n -- "$@"; fi
  H=$({ "$@" 2>/dev/null 3<&- 4>&- && printf Z; } | od -An -v -tx1 | tr -d ' \\n')
  case $H in
    *5a) H=\${H%5a} ;;
    *) return 1 ;;
  esac
}

trim_hex() {
  while :; do
    case $H in
      09* | 0a* | 0b* | 0c* | 0d* | 20*) H=\${H#??} ;;
      *09 | *0a | *0b | *0c | *0d | *20) H=\${H%??} ;;
      *) break ;;
    esac
  done
}

expected() {
  if [ "$1" = "$2" ]; then mark x 1; else mark x 0; failed=1; fi
  printf %s "$1" >&4
}

unread() {
  mark x
  failed=1
}

place() {
  if [ -f "$1" ] && [ -x "$1" ]; then T=$1; elif [ -e "$1" ]; then F=refused; fi
}

locate_tool() {
  T='' F=missing
  case $1 in
    */*) place "$1" ;;
    *) for folder in $places; do
      place "$folder/$1"
      [ "$T" ] && break
    done ;;
  esac
}
`
