#!/bin/sh
# Has Postgres show the certificate that its file holds now, to whoever connects from now on.
#   SWITCH   where this file is, it does nothing: a negative control takes the reload away by it
set -eu

: "${SWITCH:=/var/lib/postgresql/no-certificate-reload}"

[ ! -e "$SWITCH" ] || exit 0
psql -h /var/run/postgresql -U postgres -d postgres -AtqXc 'SELECT pg_reload_conf()'
