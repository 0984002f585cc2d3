/** The commands of a batch: locks, deadlines, sessions and control groups of their own, output in files without a name. POSIX shell, as dash, bash and busybox have it. */
export const execScript: string = `# Whoever sent this closes the input when it gives up or is lost: then nothing more is begun.
watch_caller() {
  (
    exec >/dev/null 2>&1 4>&-
    while IFS= read -r line <&3; do :; done
    read -r pid name state parent rest </proc/self/stat
    [ "$parent" = "$$" ] && kill -TERM "$$"
  ) &
  watcher=$!
}

scratch() {
  [ "$memory" ] && return
  why=
  for folder in $runtime; do
    [ -d "$folder" ] && [ -w "$folder" ] || continue
    case $(stat -f -c %t "$folder" 2>/dev/null) in
      1021994 | 858458f6) ;;
      *) continue ;;
    esac
    memory=$folder
    return 0
  done
  return 1
}

# Two files without a name, so that nothing stays behind whoever ends first.
open_output() {
  scratch || return
  opened=$((opened + 1))
  output=$memory/volume-expander-$B.$opened
  set -C
  command exec 8>"$output.o" 9>"$output.e" || { set +C; return 1; }
  set +C
  rm -f "$output.o" "$output.e"
} 2>/dev/null

# Out of the groups by which a service manager ends what a session has begun.
leave_groups() {
  own=1
  while IFS=: read -r id controllers group; do
    case $id:$controllers in
      0:) kind='- cgroup2 ' option='' ;;
      *:name=systemd) kind='- cgroup ' option=name=systemd ;;
      *) continue ;;
    esac
    [ "$group" = / ] && continue
    way=
    while read -r mount parent dev root point rest; do
      [ "$root" = / ] || continue
      case $rest in *"$kind"*"$option"*) way=$point/cgroup.procs; break ;; esac
    done </proc/self/mountinfo
    if [ "$way" ] && [ "$(readlink /proc/self/ns/cgroup)" = 'cgroup:[4026531835]' ] && [ -w "$way" ]; then
      echo 0 2>/dev/null >"$way" || own=0
    else
      own=0
    fi
  done </proc/self/cgroup
  printf 'own %s\\n' "$own" >&3
}

# Becomes the command. Locks are held by descriptors that it inherits, and end with it.
become() {
  locks=$1
  shift
  fd=4
  while [ "$locks" -gt 0 ]; do
    eval "command exec $fd<\\"\\$1\\"" || { echo 'unlockable' >&3; exit 1; }
    flock -x -n $fd || { echo 'locked' >&3; exit 1; }
    shift
    locks=$((locks - 1)) fd=$((fd + 1))
  done 2>/dev/null
  if [ "$detached" = 1 ]; then
    leave_groups
    exec setsid "$@" 3>&-
  fi
  exec "$@" 3>&-
}

# In short pieces: whoever ends it leaves a sleep behind, which should be over soon.
pause() {
  left=\${1%.*}
  sleep "0.\${1#*.}" 2>/dev/null || sleep 1
  while [ "$left" -gt 0 ]; do
    if [ "$left" -gt 5 ]; then sleep 5; else sleep "$left"; fi
    left=$((left - 5))
  done
} >/dev/null

# Tells on its output what becomes of the command.
conduct() {
  exec 5<&3 3>&1 4>&-
  if [ "$fed" = 1 ]; then
    printf '%b' "$input" 2>/dev/null | become "$@" >&8 2>&9 5<&- 8>&- 9>&- &
  else
    become "$@" </dev/null >&8 2>&9 5<&- 8>&- 9>&- &
  fi
  tool=$!
  exec 8>&- 9>&- 2>/dev/null
  timer= minder=
  if [ "$deadline" != - ]; then
    (
      exec 5<&-
      pause "$deadline"
      echo late
      [ "$detached" = 1 ] && exit
      exec >/dev/null
      kill -TERM "$tool"
      sleep 2 >/dev/null
      kill -KILL "$tool"
      sleep 2 >/dev/null
      echo gone >&3
    ) &
    timer=$!
  fi
  if [ "$detached" != 1 ]; then
    (
      exec >/dev/null 3>&-
      while IFS= read -r line <&5; do :; done
      kill -TERM "$tool"
      sleep 2
      kill -KILL "$tool"
    ) &
    minder=$!
  fi
  exec 5<&-
  wait "$tool"
  echo "exit $?"
  [ "$timer" ] && kill "$timer"
  [ "$minder" ] && kill "$minder"
}

attend() {
  late= own=-
  while read -r word rest; do
    case $word in
      own) own=$rest ;;
      locked | unlockable) how=$word ;;
      late) late=1; [ "$detached" = 1 ] && { echo "running - $own"; return; } ;;
      gone) echo "running - $own"; return ;;
      exit)
        if [ "$how" ]; then echo "$how - $own"
        elif [ "$late" ]; then echo "killed $rest $own"
        else echo "exited $rest $own"; fi
        return
        ;;
    esac
  done
  echo "lost - $own"
}

not_begun() {
  mark r "$1" - -
  mark o
  mark e
  printf %s "$2" >&4
  failed=1
}

# detached deadline accepted fed input number-of-locks number-of-arguments lock… argument…
execute() {
  detached=$1 deadline=$2 accepted=$3 fed=$4 input=$5
  if [ "$failed" ]; then not_begun skipped; return; fi
  # Lists of arguments are kept as the numbers of their parameters, so that none of them is ever looked at.
  index=8 last=$((7 + $6)) held=''
  while [ "$index" -le "$last" ]; do
    eval "path=\\\${$index}"
    [ -e "$path" ] || { not_begun refused "$path: cannot be locked: ENOENT"; return; }
    # Each file once: a second lock on it would wait for the first.
    known=
    for other in $held; do
      eval "[ \\"\\\${$other}\\" -ef \\"\\$path\\" ]" && known=1
    done
    [ "$known" ] || held="$held $index"
    index=$((index + 1))
  done
  eval "locate_tool \\"\\\${$index}\\""
  if [ -z "$T" ]; then not_begun "$F" "not found, or not a program"; return; fi
  program=$T parts='"$program"' last=$((last + $7))
  while [ "$index" -lt "$last" ]; do
    index=$((index + 1))
    parts="$parts \\"\\\${$index}\\""
  done
  if [ "$detached" = 1 ]; then
    locate_tool setsid
    [ "$T" ] || { not_begun lacking setsid; return; }
  fi
  count=0 files=''
  if [ "$held" ]; then
    locate_tool flock
    [ "$T" ] || { not_begun lacking flock; return; }
    chain=''
    for index in $held; do
      count=$((count + 1))
      files="$files \\"\\\${$index}\\""
      chain="$chain \\"\\$T\\" --verbose --exclusive --nonblock --no-fork --conflict-exit-code 75 \\"\\\${$index}\\""
    done
    # Descriptors that the shell can name are few, and do not go through sudo.
    if [ "$count" -gt 5 ] || [ "$S" ]; then count=0 files='' parts="$chain $parts"; fi
  fi
  [ "$S" ] && parts="sudo -n -- $parts"
  if ! open_output; then
    mark noscratch
    exit 1
  fi
  [ "$watcher" ] || watch_caller
  mark b
  how=''
  eval "result=\\$({ conduct $count $files $parts & } | attend)"
  mark r "$result"
  mark o
  tail -c 65536 /proc/self/fd/8 >&4
  mark e
  tail -c 65536 /proc/self/fd/9 >&4
  exec 8>&- 9>&-
  case $result in
    'exited '*) code=\${result#exited } code=\${code%% *} ;;
    *) code=none ;;
  esac
  case " $accepted " in *" $code "*) ;; *) failed=1 ;; esac
}
`
