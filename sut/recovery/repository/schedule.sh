#!/bin/sh
# Takes the first full backup as soon as there is a cluster, then each kind when its time has come; each kind counts
# for the weaker ones. Now and then every file of the repository is read and its checksum compared.
#   FULL_EVERY_S     3600
#   DIFF_EVERY_S     1800
#   INCR_EVERY_S     600
#   VERIFY_EVERY_S   3600
#   AGAIN_S          after a failure; 30
#   LOOKS            optional, for tests: how many looks
set -u
. "${0%/*}/common.sh"

: "${FULL_EVERY_S:=3600}" "${DIFF_EVERY_S:=1800}" "${INCR_EVERY_S:=600}" "${VERIFY_EVERY_S:=3600}"
: "${AGAIN_S:=30}"

# The kind of backup that is due; empty if none is.
due() {
  now=$(date +%s)
  full=$(completed '????????-??????F')
  diff=$(completed '*D')
  incr=$(completed '*I')
  [ "$diff" -gt "$full" ] || diff=$full
  [ "$incr" -gt "$diff" ] || incr=$diff
  if [ $((now - full)) -ge "$FULL_EVERY_S" ]; then
    echo full
  elif [ $((now - diff)) -ge "$DIFF_EVERY_S" ]; then
    echo diff
  elif [ $((now - incr)) -ge "$INCR_EVERY_S" ]; then
    echo incr
  fi
}

# There is no primary yet, or the stanza is another cluster's: whose backups they are is for a person to say.
until backrest stanza-create; do sleep 2; done

verified=$(date +%s)
while [ "${LOOKS:-1}" -gt 0 ]; do
  kind=$(due)
  if [ -n "$kind" ] && ! nice -n 10 take-backup "$kind" > /dev/null; then sleep "$AGAIN_S"; fi
  now=$(date +%s)
  if [ $((now - verified)) -ge "$VERIFY_EVERY_S" ]; then
    nice -n 10 verify-repository || true
    verified=$now
  fi
  [ -z "${LOOKS:-}" ] || LOOKS=$((LOOKS - 1))
  sleep 2
done
