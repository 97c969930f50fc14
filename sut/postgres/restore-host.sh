#!/bin/sh
# An idle Postgres host without Patroni: here restore-cluster makes a side cluster, and verify-restore examines the
# latest backup.
#   VERIFY_EVERY_S   seconds until the first verification, and from one to the next; 0 (default) for no schedule
set -eu

: "${VERIFY_EVERY_S:=0}"
expect-verification
serve-metrics.sh &
due=$(($(date +%s) + VERIFY_EVERY_S))
while :; do
  now=$(date +%s)
  if [ "$VERIFY_EVERY_S" -gt 0 ] && [ "$now" -ge "$due" ]; then
    # It says itself what is wrong; a side cluster that is in use is left alone until the next time.
    nice -n 10 verify-restore || true
    due=$((now + VERIFY_EVERY_S))
  fi
  sleep 2
done
