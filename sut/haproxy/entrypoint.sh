#!/bin/sh
# Fills in the role's template and starts HAProxy.
#   HAPROXY_ROLE   front | postgres
#   BACKENDS       plain names of the servers, as "app-1,app-2,app-3"
set -eu

role=${HAPROXY_ROLE:?front or postgres}
: "${BACKENDS:?the servers, as app-1,app-2,app-3}"
template=/etc/haproxy/templates/$role.cfg
if [ "$role" = common ] || [ ! -f "$template" ]; then
  echo "HAPROXY_ROLE is $role; valid: front, postgres" >&2
  exit 64
fi
# Own address and loopback only: 0.0.0.0 would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
config=/run/haproxy/haproxy.cfg

# A template's line "@SERVERS 5432 port 8008@" becomes one server line for each backend.
cat /etc/haproxy/templates/common.cfg "$template" | awk -v ip="$ip" -v backends="$BACKENDS" '
  /^@SERVERS / {
    gsub(/@/, ""); port = $2; options = ""
    for (i = 3; i <= NF; i++) options = options " " $i
    n = split(backends, names, ",")
    for (i = 1; i <= n; i++) printf "    server %s %s:%s%s\n", names[i], names[i], port, options
    next
  }
  { gsub(/@IP@/, ip); print }
' > "$config"

haproxy -c -q -f "$config"
exec haproxy -db -f "$config"
