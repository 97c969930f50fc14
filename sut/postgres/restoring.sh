#!/bin/sh
# Runs the program by whose name it is called (restoring/__main__.py), as the user of Postgres.
set -eu

[ "$(id -u)" != 0 ] || exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
# The working directory of whoever calls may be closed to that user.
cd /
PYTHONPATH=/usr/local/lib/restore exec python3 -P -m restoring "${0##*/}" "$@"
