#!/bin/sh
# Receives the primary's WAL as it is written, as long as the file `receive` is there: what the loss of both nodes costs
# is then the way of a packet, and not the age of a segment. A restore takes from here what the archive does not have
# yet. What is received lies as it is: pg_receivewal does not encrypt.
#   PRIMARY                where writers find the primary, as "host=pgproxy-1 port=5000"
#   REPLICATION_PASSWORD   of the role `replicator`
#   TURNS                  optional, for tests: how many
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

# Of complete segments, those that the archive has as well are not needed here. Former clusters have archives of their
# own, in which other segments have the same names: only that of the highest number, as 17-2, is asked.
prune() {
  archive=${BACKUPS%/backup/*}/archive/main
  current=$(ls "$archive" 2>/dev/null | grep -x '[0-9.]*-[0-9]*' | sort -t - -k 2n | tail -n 1)
  [ -n "$current" ] || return 0
  for file in "$RECEIVED"/????????????????????????; do
    [ -e "$file" ] || continue
    name=${file##*/}
    for kept in "$archive/$current/${name%????????}/$name"-*; do
      [ ! -e "$kept" ] || rm -f "$file"
    done
  done
}

while [ "${TURNS:-1}" -gt 0 ]; do
  [ -z "${TURNS:-}" ] || TURNS=$((TURNS - 1))
  if [ -e "$STATE/receive" ]; then
    began=$(date +%s)
    receive
    if [ $(($(date +%s) - began)) -gt 5 ]; then
      short=0
    elif pg_isready --quiet --timeout=2 --dbname="$PRIMARY"; then
      # Without a primary nothing can be received, and what is here is what a restore needs.
      short=$((short + 1))
    fi
    # It cannot go on from what is here: the cluster was restored to an earlier state, or is far ahead. What was
    # received may still be all that there is of the former state: it is for a person to remove.
    if [ "$short" -ge 10 ] && [ -e "$STATE/receive" ]; then
      mv "$RECEIVED" "$RECEIVED.former-$(date -u +%Y%m%dT%H%M%SZ)"
      short=0
    fi
    prune
  fi
  sleep 1
done
