#!/bin/sh
# Tells Prometheus what of the WAL is not archived yet, and what this node says is.
#   PGDATA    the data directory
#   METRICS   the file that is served
#   LOOK_S    seconds between looks; 5
#   LOOKS     optional, for tests: how many looks
set -u

: "${PGDATA:=/var/lib/postgresql/17/main}" "${METRICS:=/run/metrics/metrics}" "${LOOK_S:=5}"

# A segment as a number that grows along a timeline.
ordinal() {
  rest=${1#????????}
  echo $((0x${rest#????????} + (0x${rest%????????} << 16)))
}

look() {
  now=$(date +%s)
  pending=0 oldest=$now archived=
  for ready in "$PGDATA"/pg_wal/archive_status/*.ready; do
    [ -e "$ready" ] || continue
    pending=$((pending + 1))
    since=$(stat -c %Y "$ready" 2>/dev/null || echo "$now")
    [ "$since" -ge "$oldest" ] || oldest=$since
  done
  # The last in order is of the newest timeline. The name of a segment has 24 digits.
  for ready in "$PGDATA"/pg_wal/archive_status/????????????????????????.done; do
    [ ! -e "$ready" ] || archived=${ready##*/}
  done
  if [ -e "$PGDATA/standby.signal" ] || [ -e "$PGDATA/recovery.signal" ]; then standby=1; else standby=0; fi
  {
    echo "postgres_archive_pending_segments $pending"
    echo "postgres_archive_pending_age_seconds $((now - oldest))"
    echo "postgres_in_recovery $standby"
    [ -z "$archived" ] || echo "postgres_archived_segment $(ordinal "${archived%.done}")"
  } > "$METRICS.new" && mv "$METRICS.new" "$METRICS"
}

while [ "${LOOKS:-1}" -gt 0 ]; do
  look
  [ -z "${LOOKS:-}" ] || LOOKS=$((LOOKS - 1))
  sleep "$LOOK_S"
done
