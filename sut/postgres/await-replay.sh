#!/bin/sh
# Waits until this node, a standby, has replayed the log up to a position: await-replay.sh POSITION.
#   LIMIT_S   for so long; 30
#   SWITCH    where this file is, it waits for nothing: a negative control takes the wait away by it
set -u

position=${1:?a position in the log, as 0/3000148}
: "${LIMIT_S:=30}" "${SWITCH:=/var/lib/postgresql/no-await-replay}"
[ ! -e "$SWITCH" ] || exit 0

ask() {
  psql -h /var/run/postgresql -U postgres -d postgres -AtXc "SELECT $1" 2>/dev/null
}

give_up=$(($(date +%s) + LIMIT_S))
until [ "$(ask "pg_last_wal_replay_lsn() >= '$position'")" = t ]; do
  if [ "$(date +%s)" -ge "$give_up" ]; then
    echo "after $LIMIT_S s: replayed up to $(ask 'pg_last_wal_replay_lsn()'), not to $position" >&2
    exit 1
  fi
  sleep 0.1
done
echo "replayed up to $position"
