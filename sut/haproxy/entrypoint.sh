#!/bin/sh
# Fills in the role's template and starts HAProxy.
#   HAPROXY_ROLE   front | postgres
#   BACKENDS       plain names of the servers, as "app-1,app-2,app-3"
#   STANDBYS       optional, servers that get something only while none of BACKENDS is well, as "app-r1"
#   WITHOUT        optional, what a negative control takes away: role (the database's primary is whoever is
#                  first in BACKENDS and accepts TCP), redispatch (no checks of the app, no retries), clients (the
#                  front does not listen to them)
#   TLS_PEM        optional, key and certificate for the front's clients
#   TEMPLATES, RUN, TLS  optional, folders to read from and write to: a test sets them
set -eu

role=${HAPROXY_ROLE:?front or postgres}
: "${BACKENDS:?the servers, as app-1,app-2,app-3}"
templates=${TEMPLATES:-/etc/haproxy/templates}
template=$templates/$role.cfg
if [ "$role" = common ] || [ ! -f "$template" ]; then
  echo "HAPROXY_ROLE is $role; valid: front, postgres" >&2
  exit 64
fi
# Own address and loopback only: 0.0.0.0 would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
config=${RUN:-/run/haproxy}/haproxy.cfg

# Written once: a restarted balancer keeps what was rotated meanwhile.
pem=${TLS:-/run/tls}/tls.pem
if [ -n "${TLS_PEM:-}" ] && [ ! -f "$pem" ]; then
  (umask 077 && printf '%s' "$TLS_PEM" > "$pem.new" && mv "$pem.new" "$pem")
fi
unset TLS_PEM
tls=
[ ! -f "$pem" ] || tls=" ssl crt $pem"

without=${WITHOUT:-none}
case $without in none | role | redispatch | clients) ;; *)
  echo "WITHOUT is $without; valid: role, redispatch, clients" >&2
  exit 64
  ;;
esac

# A template's line "@SERVERS 5432 port 8008@" becomes one server line for each backend.
cat "$templates/common.cfg" "$template" | awk -v ip="$ip" -v tls="$tls" -v backends="$BACKENDS" \
  -v standbys="${STANDBYS:-}" '
  /^@SERVERS / {
    gsub(/@/, ""); port = $2; options = ""
    for (i = 3; i <= NF; i++) options = options " " $i
    n = split(backends, names, ",")
    for (i = 1; i <= n; i++) printf "    server %s %s:%s%s\n", names[i], names[i], port, options
    n = split(standbys, names, ",")
    for (i = 1; i <= n; i++) printf "    server %s %s:%s%s backup\n", names[i], names[i], port, options
    next
  }
  { gsub(/@IP@/, ip); gsub(/@TLS@/, tls); print }
' | case $without in
  none) cat ;;
  # In the section of the primary: no question about the role, and the servers in their order.
  role) sed '/^listen primary/,/^listen replica/ { /httpchk/d; /http-check/d; s/port 8008 //;
              s/^    mode tcp$/    mode tcp\n    balance first/ }' ;;
  redispatch) sed '/httpchk/d; /http-check/d; /timeout check/d; /^    retr/d; /redispatch/d;
                   s/^    default-server check.*/    retries 0/; s/ rise [0-9]* slowstart [0-9]*s//' ;;
  clients) sed '/^frontend front/,/^backend/ { /^    bind /d; }' ;;
esac > "$config"

haproxy -c -q -f "$config"
exec haproxy -db -f "$config"
