#!/bin/sh
# Watches the room on the disk of Postgres, which Patroni does not. A node that has hardly any left is told, by its
# tags, that it is neither to be primary nor waited for; if it is primary, it hands the role over while it still can.
#   PATRONI_NAME      this node's plain name
#   DISK              a path on the disk
#   LEAST_KIB         less room than that is hardly any; 32 MiB
#   PATRONI_YML       its configuration; ends with the tags `nofailover` and `nosync`
#   SWITCH            where this file is, it looks at nothing: a negative control takes the guard away by it
#   LOOK_S, AGAIN_S   optional, for tests: seconds between looks, and after a refusal
#   LOOKS             optional, for tests: how many looks
set -u

: "${PATRONI_NAME:=$(hostname)}"
: "${DISK:=/var/lib/postgresql/17}"
: "${LEAST_KIB:=32768}"
: "${PATRONI_YML:=/etc/patroni/patroni.yml}"
: "${SWITCH:=/var/lib/postgresql/no-disk-guard}"
low=0

# Whether the node may not be primary, as Patroni was told last.
tagged() {
  sed -n 's/^  nofailover: //p' "$PATRONI_YML"
}

# The first argument is the tags' new value.
tag() {
  [ "$(tagged)" != "$1" ] || return 0
  echo "disk-guard: nofailover, nosync: $1" >&2
  sed -i "s/^  \(nofailover\|nosync\): .*/  \1: $1/" "$PATRONI_YML" && pkill -HUP -x patroni
}

is_primary() {
  [ "$(PGCONNECT_TIMEOUT=2 timeout 3 psql -h /var/run/postgresql -U postgres -d postgres -AtXc 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]
}

hand_over() {
  echo "disk-guard: $1 KiB left: handing over" >&2
  timeout 20 python3 - "$PATRONI_NAME" <<'PY' >&2
import json, socket, sys, urllib.error, urllib.request

# The REST interface listens on the pod's own address.
url = f"http://{socket.gethostbyname(socket.gethostname())}:8008/switchover"
asked = urllib.request.Request(url, json.dumps({"leader": sys.argv[1]}).encode(), {"Content-Type": "application/json"})
try:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=18) as answer:
        print("disk-guard:", answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"disk-guard: refused: {error.read().decode()}")
except OSError as error:
    sys.exit(f"disk-guard: Patroni does not answer: {error}")
PY
}

look() {
  [ ! -e "$SWITCH" ] || { low=0; tag false; return; }
  room=$(stat -f -c '%a * %S / 1024' "$DISK") || return 0
  free=$(($room))
  if [ "$free" -ge "$LEAST_KIB" ]; then
    low=0
    # A disk that hovers about the limit keeps its tags.
    [ "$free" -lt $((2 * LEAST_KIB)) ] || tag false
    return
  fi
  low=$((low + 1))
  # A single look may meet a file that is about to go.
  [ "$low" -ge 2 ] || return 0
  tag true
  # Refused, as when the other node is no better off, it is not asked at every look.
  if is_primary && ! hand_over "$free"; then sleep "${AGAIN_S:-10}"; fi
}

while [ "${LOOKS:-1}" -gt 0 ]; do
  look
  [ -z "${LOOKS:-}" ] || LOOKS=$((LOOKS - 1))
  sleep "${LOOK_S:-2}"
done
