#!/bin/sh
# Writes pgBackRest's configuration, starts the schedule of backups and the metrics, and serves the repository.
#   NODES                    the Postgres nodes, as "pg-1 pg-2": backups are taken from a standby among them
#   CLIENTS                  whose certificates are let in, as "pg-1 pg-2 restore-1"
#   BACKUP_PEM, BACKUP_CA    this host's key and certificate, and the authority
#   REPOSITORY_KEY           what encrypts the repository; without it nothing can be restored
#   KEEP_FULL                so many full backups are kept, with what builds on them and the WAL since; 2
#   COMPRESS                 zst (default), lz4, gz, none
#   PRIMARY, REPLICATION_PASSWORD   for receive-wal.sh; and those of schedule.sh
# There is no archive-push-queue-max on purpose: beyond it pgBackRest reports success, and drops WAL.
set -eu
umask 077

: "${NODES:?the Postgres nodes, as pg-1 pg-2}" "${CLIENTS:?who is let in}" "${REPOSITORY_KEY:?the key}"
: "${KEEP_FULL:=2}" "${COMPRESS:=zst}"
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
pem=/run/backup/own.pem ca=/run/backup/ca.pem
# Written once: a restarted host keeps what was rotated meanwhile.
[ -f "$pem" ] || printf '%s' "${BACKUP_PEM:?the key and certificate}" > "$pem"
[ -f "$ca" ] || printf '%s' "${BACKUP_CA:?the authority}" > "$ca"

if [ ! -f "$PGBACKREST_CONFIG" ]; then
  {
    cat <<CONF
[global]
repo1-path=/var/lib/pgbackrest
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=$REPOSITORY_KEY
repo1-retention-full=$KEEP_FULL
repo1-bundle=y
tls-server-address=$ip
tls-server-ca-file=$ca
tls-server-cert-file=$pem
tls-server-key-file=$pem
CONF
    for client in $CLIENTS; do echo "tls-server-auth=$client=main"; done
    cat <<CONF
compress-type=$COMPRESS
process-max=1
start-fast=y
# The primary serves clients; without a standby it must do.
backup-standby=prefer
# Nodes archive always, and see to it themselves that one of them pushes.
archive-mode-check=n
archive-timeout=30
db-timeout=120
protocol-timeout=150
# A node that is down is given up soon.
io-timeout=5
log-level-console=warn
log-level-file=off

[main]
CONF
    number=1
    for node in $NODES; do
      cat <<CONF
pg$number-host=$node
pg$number-host-type=tls
pg$number-host-ca-file=$ca
pg$number-host-cert-file=$pem
pg$number-host-key-file=$pem
pg$number-path=/var/lib/postgresql/17/main
pg$number-socket-path=/var/run/postgresql
CONF
      number=$((number + 1))
    done
  } > "$PGBACKREST_CONFIG.new"
  mv "$PGBACKREST_CONFIG.new" "$PGBACKREST_CONFIG"
fi
unset BACKUP_PEM BACKUP_CA REPOSITORY_KEY

schedule.sh &
metrics.sh &
receive-wal.sh &
exec pgbackrest server
