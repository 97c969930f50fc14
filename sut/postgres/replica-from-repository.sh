#!/bin/sh
# Called by Patroni to make a standby from the newest backup: replica-from-repository.sh --datadir=D --connstring=C …
# Only for a primary that answers. Else a new node would become a standby of nobody, of the state of the last backup,
# before a person has said to which state a cluster that is lost is to be restored.
set -eu

data='' primary=''
for word in "$@"; do
  case $word in
    --datadir=*) data=${word#*=} ;;
    --connstring=*) primary=${word#*=} ;;
  esac
done
if [ "$(PGCONNECT_TIMEOUT=3 psql --no-psqlrc -Atc 'SELECT pg_is_in_recovery()' "${primary:?}")" != f ]; then
  echo "replica-from-repository: there is no primary to follow" >&2
  exit 1
fi
install -d -m 700 "${data:?}"
exec pgbackrest --stanza=main --type=standby restore
