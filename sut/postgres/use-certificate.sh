#!/bin/sh
# Has Postgres show the certificate that its file holds now, to whoever connects from now on.
# Where the file no-certificate-reload is, a primary is ended instead, and started anew by Patroni: what a server
# costs that reads its certificate only once. A negative control takes the reload away by it.
set -eu

ask() {
  psql -h /var/run/postgresql -U postgres -d postgres -AtqXc "$1"
}

if [ -e /var/lib/postgresql/no-certificate-reload ] && [ "$(ask 'SELECT pg_is_in_recovery()')" = f ]; then
  kill -INT "$(head -n 1 /var/lib/postgresql/17/main/postmaster.pid)"
else
  ask 'SELECT pg_reload_conf()'
fi
