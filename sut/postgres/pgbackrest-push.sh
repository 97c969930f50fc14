#!/bin/sh
# archive_command of Postgres, with archive_mode=always: pgbackrest-push.sh PATH. (pgBackRest insists that the command
# has its name in it.)
#
# A primary pushes. A standby pushes nothing, and says "archived" only of what the repository has, byte by byte;
# whatever it has not, the standby keeps. Else the segments that a primary had not pushed when it died would never be
# pushed: with archive_mode=on a standby takes every segment that it receives for archived, and once promoted archives
# what comes after.
#   SETTLED_S   seconds that a segment is left to the primary before a standby asks for it; 3
#   ASK_S       seconds from one question to the next; 10
#   GIVE_UP_S   seconds after which Postgres is told "not yet", and comes again; 30
#   PUSH_S      seconds that pgBackRest may take: a Postgres that is stopped waits for it; 15
#   FLAGS       where files lie that take a protection away, for negative controls
set -u

path=$1
file=${path##*/}
: "${SETTLED_S:=3}" "${ASK_S:=10}" "${GIVE_UP_S:=30}" "${PUSH_S:=15}"
: "${FLAGS:=/var/lib/postgresql}"

# The working directory is the data directory.
is_standby() {
  [ -e standby.signal ] || [ -e recovery.signal ]
}

# Whether Postgres is told to stop: it waits for its archiver. The state is the eighth line.
is_stopping() {
  [ -e postmaster.pid ] || return 0
  number=0
  while read -r line; do
    number=$((number + 1))
    [ "$number" -lt 8 ] || break
  done < postmaster.pid
  [ "$number" -eq 8 ] && [ "$line" = stopping ]
}

push() {
  timeout -k 1 "$PUSH_S" pgbackrest --stanza=main archive-push "$path" || exit 1
  exit 0
}

# Whether the repository has just this file.
is_kept() {
  copy=/tmp/kept.$$
  timeout -k 1 "$PUSH_S" pgbackrest --stanza=main archive-get "$file" "$copy" && cmp -s "$path" "$copy"
  kept=$?
  rm -f "$copy"
  return "$kept"
}

# Whether the segment lies behind the point at which the timeline of now left that of the segment: a primary that
# died wrote it, and no recovery reads it. It would be asked for in vain for ever, and all later ones with it.
is_abandoned() {
  case $file in *.*) return 1 ;; esac
  newest=
  for history in pg_wal/????????.history; do
    [ ! -e "$history" ] || newest=$history
  done
  [ -n "$newest" ] || return 1
  rest=${file#????????}
  timeline=$((0x${file%"$rest"}))
  high=$((0x${rest%????????}))
  low=$((0x${rest#????????}))
  size=$(stat -c %s "$path") || return 1
  end=$((size * (low + 1) + (high << 32)))
  while read -r parent left _; do
    case $parent in '' | *[!0-9]*) continue ;; esac
    [ "$parent" -eq "$timeline" ] || continue
    [ "$end" -gt $((0x${left#*/} + (0x${left%/*} << 32))) ] && return 0
  done < "$newest"
  return 1
}

[ ! -e "$FLAGS/no-archiving" ] || exit 0
is_standby || push
# What this node alone has, from when it was primary.
case $file in *.partial | *.backup) push ;; esac
[ ! -e "$FLAGS/no-archive-on-standby" ] || exit 0
if is_abandoned; then
  echo "pgbackrest-push: $file is of a timeline that was left before: nobody needs it" >&2
  exit 0
fi

age=$(($(date +%s) - $(stat -c %Y "$path")))
waited=0
next=$SETTLED_S
while is_standby; do
  ! is_stopping || exit 1
  if [ "$age" -ge "$next" ]; then
    ! is_kept || exit 0
    next=$((age + ASK_S))
  fi
  if [ "$waited" -ge "$GIVE_UP_S" ]; then
    echo "pgbackrest-push: the repository lacks $file yet, or has another: it is kept" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
  age=$((age + 1))
done
# It was promoted.
push
