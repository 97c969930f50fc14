#!/bin/sh
# Starts one etcd member.
#   ETCD_NAME      this member's plain name, as "etcd-1"
#   ETCD_CLUSTER   every member, as "etcd-1=http://etcd-1:2380,etcd-2=http://etcd-2:2380"
set -eu

: "${ETCD_NAME:=$(hostname)}"
: "${ETCD_CLUSTER:=$ETCD_NAME=http://$ETCD_NAME:2380}"
# etcd listens on addresses, not names; 0.0.0.0 would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
name=$ETCD_NAME
cluster=$ETCD_CLUSTER
# etcd reads every ETCD_* variable as a setting and complains of those that it does not know.
unset ETCD_NAME ETCD_CLUSTER

exec etcd \
  --name "$name" \
  --data-dir /var/lib/etcd/data \
  --listen-client-urls "http://$ip:2379,http://127.0.0.1:2379" \
  --advertise-client-urls "http://$name:2379" \
  --listen-peer-urls "http://$ip:2380" \
  --initial-advertise-peer-urls "http://$name:2380" \
  --initial-cluster "$cluster" \
  --initial-cluster-state new \
  --initial-cluster-token blackstart \
  --heartbeat-interval 100 \
  --election-timeout 1000 \
  --auto-compaction-mode periodic \
  --auto-compaction-retention 1h
