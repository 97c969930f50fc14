#!/bin/sh
# Serves the folder of the metrics, on this host's own address at port 9187.
set -eu

ip=$(hostname -i | tr ' ' '\n' | grep -m1 -F .)
cd /run/metrics
# Each request would be a line of the log.
exec python3 -m http.server --bind "$ip" 9187 > /dev/null 2>&1
