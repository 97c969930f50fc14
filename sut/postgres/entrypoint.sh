#!/bin/sh
# Writes Patroni's configuration and starts it, with the guard of its disk beside it; Patroni starts Postgres.
#   PATRONI_NAME           this node's plain name, as "pg-1"
#   ETCD_HOSTS             "etcd-1:2379,etcd-2:2379,etcd-3:2379"
#   POSTGRES_PASSWORD, REPLICATION_PASSWORD, APP_PASSWORD   samples unless given
#   TLS_PEM                optional, key and certificate; with them, clients from elsewhere must use TLS
#   ARCHIVE                optional, the repository's host: WAL is archived there, and backups are taken from there
#   ARCHIVE_TIMEOUT        after which a segment is archived that is not full; 10s
#   SEGMENT_MB             size of a segment: with the timeout, half-empty ones would fill a small disk; 4
#   STANDBY_OF             optional, "pgproxy-1:5000", where another cluster's primary is: one that begins here follows it
#   STANDBY_SLOT           with it, the slot by which that primary keeps the log for this cluster
#   SLOT                   optional, a slot that the primary of a cluster that begins here keeps for another cluster
# Words behind it are run instead of Patroni.
set -eu
umask 077

# Own address and loopback only: 0.0.0.0 would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
data=/var/lib/postgresql/17/main
# A disk that was lost is replaced by an empty one.
[ -d "$data" ] || install -d -m 700 "$data"

# The container has only just started, so no postmaster can be alive; a stale file that names the process
# id of another process of ours would keep Postgres from starting after a kill, and so would its socket's lock.
rm -f "$data/postmaster.pid" /var/run/postgresql/.s.PGSQL.*

if [ -n "${ARCHIVE:-}" ]; then use-repository.sh; fi
unset BACKUP_PEM BACKUP_CA
[ $# -eq 0 ] || exec "$@"

: "${PATRONI_NAME:=$(hostname)}"
: "${ETCD_HOSTS:?the etcd members, as etcd-1:2379,etcd-2:2379}"
: "${POSTGRES_PASSWORD:=sample-postgres}"
: "${REPLICATION_PASSWORD:=sample-replication}"
: "${APP_PASSWORD:=sample-app}"
export APP_PASSWORD
# A restore that was under way when the container ended is not any more.
rm -f /run/restore/state /run/restore/wanted.json

# Written once: a restarted node keeps what was rotated meanwhile.
pem=/run/tls/tls.pem
if [ -n "${TLS_PEM:-}" ] && [ ! -f "$pem" ]; then
  printf '%s' "$TLS_PEM" > "$pem.new" && mv "$pem.new" "$pem"
fi
unset TLS_PEM
ssl=off host=host
[ ! -f "$pem" ] || ssl=on host=hostssl

method='' segment='' archive='' replicas=''
if [ -n "${ARCHIVE:-}" ]; then
  if [ -z "$(ls -A "$data")" ]; then
    # An empty node must never begin an empty cluster where there are backups of one: the repository would refuse
    # its WAL, and people would find their data gone. So it waits until the repository says that there are none.
    while :; do
      case $(pgbackrest --stanza=main --output=json info) in
        *'"label":'*)
          method="  method: repository
  repository:
    command: /usr/local/bin/bootstrap-from-repository
    no_params: true"
          break
          ;;
        *'"missing stanza path"'* | *'"no valid backups"'*) break ;;
      esac
      echo "the repository $ARCHIVE does not say whether it has backups: waiting for it" >&2
      sleep 1
    done
  fi
  segment="    - wal-segsize: \"${SEGMENT_MB:-4}\""
  # In no configuration of the cluster: a node that has no repository must not archive.
  archive="    archive_mode: always
    archive_command: /usr/local/bin/pgbackrest-push.sh %p
    archive_timeout: ${ARCHIVE_TIMEOUT:-10s}"
  # A copy of the primary is in step at once; one from the repository has to fetch all WAL since then, one segment
  # after the other. It is there for a primary that cannot be copied.
  replicas="  recovery_conf:
    restore_command: /usr/local/bin/pgbackrest-fetch.sh %f %p
  create_replica_methods: [basebackup, repository]
  repository:
    command: /usr/local/bin/replica-from-repository.sh"
fi

others=''
[ -z "${SLOT:-}" ] || others="    slots:
      $SLOT: { type: physical }"
if [ -n "${STANDBY_OF:-}" ]; then
  others="    standby_cluster:
      host: \"${STANDBY_OF%:*}\"
      port: ${STANDBY_OF#*:}
      primary_slot_name: ${STANDBY_SLOT:?the slot at $STANDBY_OF}
      create_replica_methods: [basebackup]"
  # Patroni copies that primary, tries it twice, and ends.
  while [ -z "$(ls -A "$data")" ] && ! PGPASSWORD=$REPLICATION_PASSWORD PGCONNECT_TIMEOUT=2 timeout 3 psql -qAtX \
    "host=${STANDBY_OF%:*} port=${STANDBY_OF#*:} user=replicator dbname=postgres replication=true" \
    -c IDENTIFY_SYSTEM > /dev/null 2>&1; do
    echo "there is no primary at $STANDBY_OF: waiting for it" >&2
    sleep 1
  done
fi

cat > /etc/patroni/patroni.yml <<YML
scope: main
name: "$PATRONI_NAME"
log:
  format: "%(asctime)s %(levelname)s: %(message)s"
  loggers:
    urllib3: ERROR
restapi:
  listen: "$ip:8008"
  connect_address: "$PATRONI_NAME:8008"
etcd3:
  hosts: "$ETCD_HOSTS"
bootstrap:
$method
  # loop_wait + 2 * retry_timeout <= ttl, and ttl >= 20: Patroni adjusts what breaks this, with a warning only.
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    primary_start_timeout: 0
    synchronous_mode: true
    # With etcd away the primary goes on for as long as every other node says that it has no other.
    failsafe_mode: true
$others
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        max_connections: 200
        max_wal_senders: 10
        max_replication_slots: 10
        wal_level: replica
        wal_log_hints: "on"
        wal_keep_size: 128MB
        # The log shares its disk with the data: neither it nor a slot nobody reads is to be what fills it.
        max_wal_size: 256MB
        max_slot_wal_keep_size: 384MB
        hot_standby: "on"
        synchronous_commit: "on"
        checkpoint_timeout: 5min
  initdb:
    - encoding: UTF8
    - locale-provider: builtin
    - locale: C.UTF-8
    - data-checksums
    # The host outlives the drills: what a kill may tear is written in order, and needs no sync at birth.
    - no-sync
$segment
  post_bootstrap: /usr/local/bin/post-bootstrap.sh
postgresql:
  listen: "$ip,127.0.0.1:5432"
  connect_address: "$PATRONI_NAME:5432"
  data_dir: $data
  bin_dir: /usr/lib/postgresql/17/bin
  pgpass: /var/lib/postgresql/.pgpass
  use_unix_socket: true
  use_unix_socket_repl: true
  # Else a new standby waits for a spread checkpoint, which takes minutes.
  basebackup:
    - checkpoint: fast
    - no-sync
  remove_data_directory_on_rewind_failure: true
  remove_data_directory_on_diverged_timelines: true
$replicas
  authentication:
    superuser:
      username: postgres
      password: "$POSTGRES_PASSWORD"
    replication:
      username: replicator
      password: "$REPLICATION_PASSWORD"
  parameters:
    blackstart.node: "$PATRONI_NAME"
    unix_socket_directories: /var/run/postgresql
    shared_buffers: 64MB
    ssl: "$ssl"
    # One file for both: key and certificate are replaced together, or not at all.
    ssl_cert_file: $pem
    ssl_key_file: $pem
    password_encryption: scram-sha-256
    log_line_prefix: "%m [%p] %q%u@%d "
    log_checkpoints: "on"
    log_lock_waits: "on"
    # A broken replication link is noticed in seconds, not after a minute.
    wal_sender_timeout: 5s
    wal_receiver_timeout: 5s
    wal_receiver_status_interval: 1s
    wal_retrieve_retry_interval: 500ms
    tcp_keepalives_idle: 5
    tcp_keepalives_interval: 2
    tcp_keepalives_count: 3
    idle_in_transaction_session_timeout: 60s
$archive
  pg_hba:
    - local all all trust
    - local replication all trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication replicator all scram-sha-256
    - $host all all all scram-sha-256
# Set by the disk guard.
tags:
  nofailover: false
  nosync: false
YML

/usr/local/bin/disk-guard.sh &
if [ -n "${ARCHIVE:-}" ]; then
  # Backups are taken through it; without it nothing else would fail.
  while :; do
    nice -n 5 pgbackrest server || true
    sleep 1
  done &
  archive-metrics.sh &
  serve-metrics.sh &
fi
exec patroni /etc/patroni/patroni.yml
