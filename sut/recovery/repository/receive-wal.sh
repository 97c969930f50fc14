#!/bin/sh
# Receives the primary's WAL as it is written, as long as the file `receive` is there: what the loss of both nodes costs
# is then the way of a packet, and not the age of a segment. A restore takes from here what the archive does not have
# yet. What is received lies as it is: pg_receivewal does not encrypt.
#   PRIMARY                where writers find the primary, as "host=pgproxy-1 port=5000"
#   REPLICATION_PASSWORD   of the role `replicator`
set -u
. "${0%/*}/common.sh"

: "${RECEIVED:=/var/lib/pgbackrest/received}"
short=0

receive() {
  mkdir -p "$RECEIVED"
  # Without a slot: one that nobody reads would keep WAL on the primary's disk, and the archive has what is missed.
  PGPASSWORD=$REPLICATION_PASSWORD pg_receivewal --directory="$RECEIVED" --no-loop --status-interval=1 \
    --dbname="$PRIMARY user=replicator application_name=receive-wal connect_timeout=2" &
  receiver=$!
  while [ -e "$STATE/receive" ] && kill -0 "$receiver" 2>/dev/null; do sleep 1; done
  kill -INT "$receiver" 2>/dev/null
  wait "$receiver"
}

# Of complete segments, those that the archive has as well are not needed here.
prune() {
  for file in "$RECEIVED"/????????????????????????; do
    [ -e "$file" ] || continue
    name=${file##*/}
    for kept in "${BACKUPS%/backup/*}"/archive/main/*/"${name%????????}/$name"-*; do
      [ ! -e "$kept" ] || rm -f "$file"
    done
  done
}

while :; do
  if [ -e "$STATE/receive" ]; then
    began=$(date +%s)
    receive
    if [ $(($(date +%s) - began)) -gt 5 ]; then short=0; else short=$((short + 1)); fi
    # It cannot go on from what is here: the cluster was restored to an earlier state, or is far ahead.
    if [ "$short" -ge 10 ] && [ -e "$STATE/receive" ]; then
      rm -rf "$RECEIVED.former"
      mv "$RECEIVED" "$RECEIVED.former"
      short=0
    fi
    prune
  fi
  sleep 1
done
