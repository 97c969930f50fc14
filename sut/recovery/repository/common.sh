# Read by the programs of the repository host.
#   BACKUPS   where the backups are
#   STATE     where the programs keep what they know of each other, and files that take a protection away

: "${BACKUPS:=/var/lib/pgbackrest/backup/main}" "${STATE:=/run/backup}"

# Goes on as the user of the repository: its files must belong to it. The arguments are those of the program.
as_user() {
  [ "$(id -u)" != 0 ] || exec setpriv --reuid=backup --regid=backup --init-groups -- "$0" "$@"
  cd /
}

backrest() {
  pgbackrest --stanza=main "$@"
}

# The newest complete backup whose label matches the pattern; labels are in the order of time. Beside the backups
# there are folders of other names.
newest() {
  found=
  for manifest in "$BACKUPS"/$1/backup.manifest; do
    [ ! -e "$manifest" ] || found=${manifest%/backup.manifest}
  done
  echo "${found##*/}"
}

# When that backup was complete, in seconds since the epoch; 0 without one.
completed() {
  label=$(newest "$1")
  if [ -n "$label" ]; then stat -c %Y "$BACKUPS/$label/backup.manifest"; else echo 0; fi
}
