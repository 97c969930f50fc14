#!/bin/sh
# Starts Redis or a Sentinel.
#   REDIS_ROLE        primary | replica | sentinel: the role at the first start; later Sentinel decides
#   REDIS_NAME        this node's plain name, as "redis-1"
#   REDIS_PRIMARY     the first primary's name (replica, sentinel)
#   REDIS_REPLICAS    replicas that the first primary has before a Sentinel begins to watch it; 1
#   REDIS_LEAST       replicas without which a primary takes no writes; 1
#   REDIS_SENTINELS   optional, "sentinel-1:26379,...": a restarted node asks them who is primary
#   TLS_PEM           optional, key and certificate: clients are served with TLS at 6380 besides
set -eu

role=${REDIS_ROLE:?primary, replica or sentinel}
: "${REDIS_NAME:=$(hostname)}"
# Own address and loopback only: 0.0.0.0 would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
config=/var/lib/redis/$role.conf

# Written once: a restarted node keeps what was rotated meanwhile.
pem=/run/tls/tls.pem
if [ -n "${TLS_PEM:-}" ] && [ ! -f "$pem" ]; then
  (umask 077 && printf '%s' "$TLS_PEM" > "$pem.new" && mv "$pem.new" "$pem")
fi
unset TLS_PEM

# Redis and Sentinel rewrite their file when roles change, so it is written at the first start only:
# a node that was demoted or promoted comes back as what it was last.
first=no
[ -f "$config" ] || first=yes

sentinel() {
  if [ "$first" = yes ]; then
    : "${REDIS_PRIMARY:?the primary to watch}"
    # A Sentinel that meets a primary which is not up yet starts a failover and then refuses another for
    # ten seconds; one that meets it without its replica learns of the replica ten seconds later.
    tries=200
    until redis-cli -h "$REDIS_PRIMARY" -t 1 info replication 2>/dev/null \
      | tr -d '\r' | grep -c 'state=online' | grep -qx "${REDIS_REPLICAS:-1}"; do
      tries=$((tries - 1))
      [ "$tries" -gt 0 ] || { echo "no $REDIS_PRIMARY with its replicas; starting anyway" >&2; break; }
      sleep 0.1
    done
    cat > "$config" <<CONF
port 26379
protected-mode no
dir /var/lib/redis
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $REDIS_NAME
sentinel announce-port 26379
sentinel deny-scripts-reconfig yes
sentinel monitor cache $REDIS_PRIMARY 6379 2
sentinel down-after-milliseconds cache 1000
sentinel failover-timeout cache 5000
sentinel parallel-syncs cache 1
CONF
  fi
  exec redis-sentinel "$config" --bind "$ip" 127.0.0.1
}

# Prints the primary that the Sentinels agree on, if any of them answers.
current_primary() {
  for address in $(echo "${REDIS_SENTINELS:-}" | tr ',' ' '); do
    name=$(redis-cli -h "${address%:*}" -p "${address#*:}" -t 1 \
      sentinel get-master-addr-by-name cache 2>/dev/null | head -n 1) || continue
    [ -n "$name" ] && echo "$name" && return
  done
}

server() {
  if [ "$first" = yes ]; then
    # appendonly: a primary that is back before Sentinel notices must not come back empty, or its replica
    # would copy the emptiness.
    # volatile-lru: cached answers and rate limits have a TTL and may go; the job stream has none and stays.
    # min-replicas: a primary that is cut off from its replica takes writes for some 5 s more, all of which may be
    # lost. The price: a Redis that is alone takes none. Answers are not cached then, and jobs wait in Postgres.
    # With nothing left to evict, writes are refused. maxmemory leaves room for a copy while the log is rewritten.
    cat > "$config" <<CONF
port 6379
protected-mode no
dir /var/lib/redis
appendonly yes
appendfsync everysec
save ""
maxmemory 128mb
maxmemory-policy volatile-lru
tcp-keepalive 10
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-ping-replica-period 1
repl-timeout 10
min-replicas-to-write ${REDIS_LEAST:-1}
min-replicas-max-lag 5
replica-announce-ip $REDIS_NAME
replica-announce-port 6379
CONF
    # The plain port stays, for Sentinels, replication and tools inside the pod.
    [ ! -f "$pem" ] || cat >> "$config" <<CONF
tls-port 6380
tls-cert-file $pem
tls-key-file $pem
tls-auth-clients no
CONF
    [ "$role" = primary ] || echo "replicaof ${REDIS_PRIMARY:?the primary to copy} 6379" >> "$config"
  else
    primary=$(current_primary)
    if [ -n "$primary" ] && [ "$primary" != "$REDIS_NAME" ]; then
      exec redis-server "$config" --bind "$ip" 127.0.0.1 --replicaof "$primary" 6379
    fi
  fi
  exec redis-server "$config" --bind "$ip" 127.0.0.1
}

case $role in
  primary | replica) server ;;
  sentinel) sentinel ;;
  *)
    echo "REDIS_ROLE is $role; valid: primary, replica, sentinel" >&2
    exit 64
    ;;
esac
