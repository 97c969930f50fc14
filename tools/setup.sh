#!/usr/bin/env bash
# All set-up for `make drill` and `make test`, step by step; a step whose work is done is skipped.
#   - fresh Debian machine, root: installs and starts a Docker engine (asks first on a terminal, unless CI=true)
#   - machine with a Docker engine running: touches nothing of the system
# Environment: CI=true or BLACKSTART_YES=1: ask nothing.  BLACKSTART_PYTHON: the Python to use.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=uv==0.13.9
DOCKERD_LOG=/var/log/dockerd.log
ENGINE_LIMIT_S=60

say() { printf '==> %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
debian() { command -v apt-get > /dev/null && [ -f /etc/debian_version ]; }
root() { [ "$(id -u)" = 0 ]; }

# Asks on a terminal; elsewhere there is nobody to ask.
agreed() {
  [ "${CI:-}" != true ] && [ "${BLACKSTART_YES:-}" != 1 ] && [ -t 0 ] && [ -t 1 ] || return 0
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

apt_updated=no
install() {
  say "apt-get install $*"
  if [ "$apt_updated" = no ]; then
    apt-get update -qq
    apt_updated=yes
  fi
  local log
  log=$(mktemp) # a fixed name in /tmp could be anybody's link, and this runs as root
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > "$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get install $* failed; all of what it said is in $log"
  }
  rm -f "$log"
}

# --- Python --------------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }

find_python() {
  local candidate
  for candidate in ${BLACKSTART_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if command -v "$candidate" > /dev/null && new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

environment() {
  local python stamp
  # The lock of what is installed: the declaration, this script (which pins uv) and where the tree lies.
  stamp=$(cat pyproject.toml tools/setup.sh <(pwd) | sha256sum | cut -d' ' -f1)
  if [ "$(cat .venv/stamp 2> /dev/null)" = "$stamp" ] && .venv/bin/python -c 'import blackstart' 2> /dev/null; then
    say "Python environment: .venv is current"
    return
  fi
  if ! python=$(find_python); then
    debian && root || die "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)"
    agreed "Install python3 and python3-venv with apt-get?" || die "not installed; nothing was changed"
    install python3 python3-venv ca-certificates
    python=$(find_python) || die "this Debian's Python is older than 3.11"
  fi
  say "Python environment: .venv from $python ($("$python" --version))"
  if ! .venv/bin/python -c '' 2> /dev/null; then
    "$python" -m venv --clear .venv
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$UV"
  # uv reads neither pip's configuration nor, by itself, the system's certificates.
  local index
  index=$(.venv/bin/python -m pip config get global.index-url 2> /dev/null || true)
  [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
  if [ -z "${SSL_CERT_FILE:-}" ] && [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
  fi
  .venv/bin/uv pip install --quiet --python .venv/bin/python -e '.[dev]'
  echo "$stamp" > .venv/stamp
}

# --- Docker engine -------------------------------------------------------------------------------------

# Runs a line of Python with `client` connected; errors of ours become one message.
with_engine() {
  .venv/bin/python - "$@" << 'PYTHON'
import sys
from blackstart.model.errors import BlackstartError
from blackstart.platforms import engine
from blackstart.stack import images
try:
    client = engine.connect()
    if "base" in sys.argv:
        images.ensure_base(client, lambda line: print(f"==> {line}", flush=True))
except BlackstartError as error:
    sys.exit(str(error))
PYTHON
}

install_engine() {
  debian || die "no Docker engine; install one for this system, then run again"
  root || die "no Docker engine; run as root to have Debian's installed (sudo make setup), or install one"
  agreed "No Docker engine on this machine. Install Debian's (docker.io) with apt-get?" \
    || die "not installed; nothing was changed"
  local packages=(docker.io iptables ca-certificates)
  apt-get update -qq
  apt_updated=yes
  # From trixie on the command line is a package of its own; the harness does not need it, the runbooks do.
  ! apt-cache show docker-cli > /dev/null 2>&1 || packages+=(docker-cli)
  # Without an init that mounts them, dockerd finds no control groups.
  if [ ! -e /sys/fs/cgroup/cgroup.controllers ] && [ ! -d /sys/fs/cgroup/memory ]; then
    ! apt-cache show cgroupfs-mount > /dev/null 2>&1 || packages+=(cgroupfs-mount)
  fi
  install "${packages[@]}"
  ! command -v cgroupfs-mount > /dev/null || cgroupfs-mount || true
}

start_engine() {
  if [ -d /run/systemd/system ] && systemctl cat docker.service > /dev/null 2>&1; then
    say "Docker engine: systemctl start docker"
    systemctl start docker
    return
  fi
  # A pid file from before a reboot may name a process that is not dockerd, and dockerd then refuses to start.
  local pid
  pid=$(cat /var/run/docker.pid 2> /dev/null || true)
  if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2> /dev/null || true)" != dockerd ]; then
    rm -f /var/run/docker.pid
  fi
  say "Docker engine: starting dockerd, its log is $DOCKERD_LOG"
  # Its own session, and none of our descriptors: it outlives this script and holds nobody's pipe open.
  (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    exec setsid dockerd < /dev/null >> "$DOCKERD_LOG" 2>&1
  ) &
}

engine() {
  local why
  if why=$(with_engine 2>&1); then
    say "Docker engine: answers"
    return
  fi
  # Only a missing local engine is ours to mend: not a remote one, not one that refuses this user.
  if [ -n "${DOCKER_HOST:-}" ] || [ "$(uname -s)" != Linux ] || ! root; then
    printf '%s\n' "$why" >&2
    exit 1
  fi
  command -v dockerd > /dev/null || install_engine
  with_engine > /dev/null 2>&1 || start_engine
  local deadline=$((SECONDS + ENGINE_LIMIT_S))
  until why=$(with_engine 2>&1); do
    if [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 20 "$DOCKERD_LOG" >&2 2> /dev/null || true
      die "the Docker engine did not answer within $ENGINE_LIMIT_S s: $why"
    fi
    sleep 0.2
  done
  say "Docker engine: answers"
}

# --- Base image ----------------------------------------------------------------------------------------

base() {
  # Present or pulled, nothing more is needed; without a registry it is made from Debian's packages.
  local why
  if command -v mmdebstrap > /dev/null || ! debian || ! root; then
    with_engine base || die "no base image: pull debian:trixie-slim, or make it on Debian (tools/airgap-base)"
  elif ! why=$(with_engine base 2>&1); then
    agreed "No image registry answers. Install mmdebstrap with apt-get to make the base image here?" \
      || die "not installed; nothing was changed: $why"
    install mmdebstrap
    with_engine base || die "the base image could not be made"
  fi
  say "base image: there"
}

environment
engine
base
