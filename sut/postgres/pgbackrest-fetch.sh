#!/bin/sh
# restore_command of Postgres: pgbackrest-fetch.sh FILE DESTINATION.
#
# To Postgres, "not there" is where the archive ends. So a recovery from a backup is only told so if it is true: while
# the repository does not answer it is asked again, and in the end recovery is aborted rather than cut short.
# What is not archived yet may have been received as it was written (sut/recovery/repository/receive-wal.sh).
# A standby has its primary besides. It is told "not there" at once where the repository was silent a moment ago, or
# said so of the same file: neither a repository that is gone nor a primary that is shall cost it, or a promotion, time.
#   STANDBY_S   seconds that a standby waits for the repository; 3
#   SILENT_S    seconds that a standby leaves a silent repository alone; 15
#   ABSENT_S    seconds that a standby does not ask for the same file again; 3
#   TRIES       of a recovery; 5
#   MEMORY      where it notes what it was told last; /tmp
set -u

file=$1
to=$2
: "${STANDBY_S:=3}" "${SILENT_S:=15}" "${ABSENT_S:=3}" "${TRIES:=5}" "${MEMORY:=/tmp}"
silent=$MEMORY/fetch-silent
absent=$MEMORY/fetch-absent

fetch() {
  timeout -k 1 "$1" pgbackrest --stanza=main archive-get "$file" "$to"
}

# What the repository's host has received beyond the archive; of the last segment it has a part, filled with zeros.
received() {
  for name in "$file" "$file.partial"; do
    if timeout -k 1 60 pgbackrest --stanza=main --raw repo-get "received/$name" > "$to.received" 2>/dev/null \
      && [ -s "$to.received" ]; then
      mv "$to.received" "$to"
      return 0
    fi
  done
  rm -f "$to.received"
  return 1
}

# Whether a file was touched at most so many seconds ago.
is_recent() {
  [ -e "$1" ] && [ $(($(date +%s) - $(stat -c %Y "$1"))) -lt "$2" ]
}

if [ -e standby.signal ]; then
  ! is_recent "$silent" "$SILENT_S" || exit 1
  if is_recent "$absent" "$ABSENT_S" && [ "$(cat "$absent")" = "$file" ]; then exit 1; fi
  fetch "$STANDBY_S"
  case $? in
    0) exit 0 ;;
    1) echo "$file" > "$absent" ;;
    *) touch "$silent" ;;
  esac
  exit 1
fi

try=1
while :; do
  fetch 60
  code=$?
  case $code in
    0) exit 0 ;;
    1)
      received || exit 1
      exit 0
      ;;
  esac
  echo "pgbackrest-fetch: $file: pgBackRest ended with $code (try $try of $TRIES)" >&2
  [ "$try" -lt "$TRIES" ] || break
  try=$((try + 1))
  sleep 1
done
# Beyond 125 Postgres aborts the recovery.
exit 200
