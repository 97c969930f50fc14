#!/bin/sh
# Starts Prometheus or Alertmanager.
#   MONITORING_ROLE   prometheus | alertmanager
#   TARGETS           prometheus: what is scraped, by job, as "app=app-1:8000,app-2:8000 etcd=etcd-1:2379"
set -eu

role=${MONITORING_ROLE:?prometheus or alertmanager}
# Own address only: the wildcard would collide with the sidecar's listeners on 127.0.1.x.
ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)

case $role in
  prometheus)
    for job in ${TARGETS:?what is scraped, as app=app-1:8000,app-2:8000}; do
      echo "- targets: [${job#*=}]" > "/run/prometheus/${job%%=*}.yml"
    done
    exec prometheus \
      --config.file=/etc/prometheus/prometheus.yml \
      --web.listen-address="$ip:9090" \
      --storage.tsdb.path=/var/lib/prometheus/metrics \
      --storage.tsdb.retention.time=6h \
      --rules.alert.resend-delay=5s \
      --log.level=warn
    ;;
  alertmanager)
    exec prometheus-alertmanager \
      --config.file=/etc/prometheus/alertmanager.yml \
      --web.listen-address="$ip:9093" \
      --cluster.listen-address= \
      --storage.path=/var/lib/prometheus/alertmanager \
      --log.level=warn
    ;;
  *)
    echo "MONITORING_ROLE is $role; valid: prometheus, alertmanager" >&2
    exit 64
    ;;
esac
