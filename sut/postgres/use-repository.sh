#!/bin/sh
# Writes pgBackRest's configuration for this host, whose repository is another: both ask each other by TLS, each with
# a certificate of the run's authority.
#   ARCHIVE                  the repository's name
#   BACKUP_PEM, BACKUP_CA    this host's key and certificate, and the authority
#   COMPRESS                 how WAL is compressed: zst (default), lz4, gz, none
#   PROCESSES                of a restore; 2
# There is no archive-push-queue-max on purpose: beyond it pgBackRest reports success, and drops WAL.
set -eu
umask 077

: "${COMPRESS:=zst}" "${PROCESSES:=2}"
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
pem=/run/backup/own.pem ca=/run/backup/ca.pem
# Written once: a restarted node keeps what was rotated meanwhile.
[ -f "$pem" ] || printf '%s' "${BACKUP_PEM:?the key and certificate for the repository}" > "$pem"
[ -f "$ca" ] || printf '%s' "${BACKUP_CA:?the authority of the repository}" > "$ca"

cat > "$PGBACKREST_CONFIG" <<CONF
[global]
repo1-host=$ARCHIVE
repo1-host-type=tls
repo1-host-ca-file=$ca
repo1-host-cert-file=$pem
repo1-host-key-file=$pem
tls-server-address=$ip
tls-server-ca-file=$ca
tls-server-cert-file=$pem
tls-server-key-file=$pem
tls-server-auth=$ARCHIVE=main
compress-type=$COMPRESS
process-max=$PROCESSES
# pgbackrest-push.sh sees to it that one node pushes.
archive-mode-check=n
# A repository that does not answer is given up soon: Postgres waits.
io-timeout=5
log-level-console=warn
log-level-file=off

[main]
pg1-path=${PGDATA:-/var/lib/postgresql/17/main}
pg1-socket-path=/var/run/postgresql
CONF
