#!/bin/sh
# Tells Prometheus how old the newest backup is, what the archive has, what room there is, and whether every file was
# as it should be when all were read last; at port 9187.
#   LIMIT_S   the age at which the newest backup is too old: two of the schedule's are missing; 1500
#   LOOK_S    seconds between looks; 5
#   LOOKS     optional, for tests: how many looks
set -u
. "${0%/*}/common.sh"

: "${LIMIT_S:=1500}" "${LOOK_S:=5}" "${METRICS:=/run/metrics/metrics}" "${REPOSITORY:=/var/lib/pgbackrest}"
began=$(date +%s)

# The last segment of the archive, as a number that grows along a timeline; nothing while there is none.
segment() {
  last=
  # Of the newest cluster, the newest timeline, the last directory and file; the name has 24 digits.
  for directory in "$REPOSITORY"/archive/main/*/????????????????/; do
    for file in "$directory"????????????????????????-*; do
      [ ! -e "$file" ] || last=${file##*/}
    done
  done
  [ -n "$last" ] || return 0
  last=${last%%-*}
  rest=${last#????????}
  echo "repository_wal_segment $((0x${rest#????????} + (0x${rest%????????} << 16)))"
}

look() {
  at=$(completed '[0-9]*')
  # Until the first backup its age counts from the beginning.
  [ "$at" -gt 0 ] || at=$began
  failed=0
  [ ! -e "$STATE/damaged" ] || failed=1
  {
    echo "backup_completed_timestamp_seconds $at"
    echo "backup_limit_seconds $LIMIT_S"
    echo "repository_verification_failed $failed"
    stat -f -c 'repository_free_blocks %a
repository_blocks %b' "$REPOSITORY"
    segment
  } > "$METRICS.new" && mv "$METRICS.new" "$METRICS"
}

if [ -z "${LOOKS:-}" ]; then
  ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
  # Each request would be a line of the log.
  (cd /run/metrics && exec python3 -m http.server --bind "$ip" 9187 > /dev/null 2>&1) &
fi
while [ "${LOOKS:-1}" -gt 0 ]; do
  look
  [ -z "${LOOKS:-}" ] || LOOKS=$((LOOKS - 1))
  sleep "$LOOK_S"
done
