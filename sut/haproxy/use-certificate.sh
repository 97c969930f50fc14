#!/bin/sh
# Has HAProxy show the certificate that its file holds now, to whoever connects from now on.
set -eu

pem=/run/tls/tls.pem
admin() {
  socat -t 3 stdio unix-connect:/run/haproxy/admin.sock
}

# A payload of HAProxy's command line ends with an empty line.
{ echo "set ssl cert $pem <<"; cat "$pem"; echo; } | admin
said=$(echo "commit ssl cert $pem" | admin)
echo "$said"
case $said in *Success!*) ;; *) exit 1 ;; esac
