"""A Postgres without Patroni, the repository that it archives to, and a clean host on which to restore.

They are the images of the stack `recovery`, with the programs that its drills run, but without the pods, the
schedules and the limits of memory; what they hold is on volumes of the engine's disk.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg.conninfo import make_conninfo

from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ProvisionError
from blackstart.model.stack import Image
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.docker_words import asked
from blackstart.platforms.engine import check_room, connect
from blackstart.platforms.launch import launch, network
from blackstart.platforms.waiting import wait_until
from blackstart.stack.images import ensure_images
from sut.authority import Authority
from sut.recovery.settings import REPOSITORY, REPOSITORY_KEY, REPOSITORY_PATH, SIDE, STANZA
from sut.recovery.stack import stack
from sut.settings import POSTGRES, POSTGRES_DISK

DATABASE = POSTGRES[0]
DATA = f"{POSTGRES_DISK}/main"
#: What the recovery says of itself (sut/postgres/restoring/server.py).
RECOVERY_LOG = "/run/restore/postgres.log"
_PORT = 5432
_VALID = timedelta(days=1)
#: So that the repository's own schedule takes none: seconds, some thousand years.
_NEVER = "99999999999"
_LINES = 10
#: Runs a command, syncs the file system of its first argument, and prints ns of both.
_TIMED = """
place=$1
shift
began=$(date +%s%N)
"$@" || exit
sync -f "$place"
echo "took $(($(date +%s%N) - began)) ns"
"""
#: Has the kernel forget the pages of all files below its arguments; what is not written yet stays.
_FORGET = """
import contextlib, os, sys
for top in sys.argv[1:]:
    for folder, _, names in os.walk(top):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                file = os.open(os.path.join(folder, name), os.O_RDONLY)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)
"""


@dataclass(frozen=True)
class Settings:
    """How the hosts are set up; `segment_mb` is the size of a segment of WAL, MiB, as the stack has it."""

    compress: str = "zst"
    processes: int = 2
    archive_timeout: str = "10s"
    segment_mb: int = 4


@dataclass(frozen=True)
class Replayed:
    """What the second half of a restore took: replay, then opening for writes; seconds, and bytes of WAL."""

    replay_s: float
    open_s: float
    wal: int


@dataclass
class Hosts:
    """The three of a run; `port` is the database's on 127.0.0.1.

    Every method raises ProvisionError or PlatformError.
    """

    run_id: str
    settings: Settings
    platform: DockerPlatform
    password: str = field(repr=False)
    port: int = 0

    def container(self, host: str) -> str:
        """The name of a host's container."""
        return f"blackstart-{self.run_id}-{host}"

    def volume(self, host: str) -> str:
        """The name of a host's volume."""
        return f"{self.container(host)}-disk"

    @property
    def address(self) -> str:
        """How clients on this machine connect to the database."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname="postgres",
            password=self.password,
            connect_timeout=3,
        )

    def run(
        self,
        host: str,
        *command: str,
        limit: Duration = "60s",
        user: str = "",
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What a program says that ends well, as root or as another user."""
        words = [f"{name}={value}" for name, value in (env or {}).items()]
        words = ["env", *words] if words else []
        if user:
            words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        told = self.platform.exec(self.container(host), [*words, *command], timeout=seconds(limit))
        if told.code != 0:
            last = "\n".join(told.output.strip().splitlines()[-_LINES:])
            raise ProvisionError(f"{host}: `{' '.join(command)[:200]}` ended with {told.code}\n{last}")
        return told.output

    def timed(
        self,
        host: str,
        *command: str,
        limit: Duration,
        user: str = "",
        env: Mapping[str, str] | None = None,
    ) -> float:
        """Seconds that a program takes there, until what it wrote is on the disk; the call does not count."""
        words = ("sh", "-c", _TIMED, "sh", POSTGRES_DISK, *command)
        output = self.run(host, *words, limit=limit, user=user, env=env)
        return int(re.findall(r"took (\d+) ns", output)[-1]) / 1e9

    def sql(self, query: str, *, host: str = DATABASE, limit: Duration = "60s", options: str = "") -> str:
        """The rows of a query, bare; `options` are settings of the session, as `-c name=value`."""
        words = ["psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "postgres", "-AtqX"]
        words += ["-v", "ON_ERROR_STOP=1", "-c", query]
        return self.run(host, *words, limit=limit, env={"PGOPTIONS": options}).strip()

    # -- the database ------------------------------------------------------------------------------

    def start(self, *options: str) -> None:
        """Start the database; each option is a setting, as `fsync=off`."""
        given = " ".join(f"-c {option}" for option in options)
        self._pg_ctl("-l", "/tmp/postgres.log", "-o", given, "start")

    def stop(self) -> None:
        """End the database in order."""
        self._pg_ctl("-m", "fast", "stop")

    def _pg_ctl(self, *words: str) -> None:
        self.run(DATABASE, "pg_ctl", "-D", DATA, "-w", "-t", "300", *words, limit="310s", user="postgres")

    def archive(self, limit: Duration) -> float:
        """Have the segment of now archived, and all before it; seconds that the push of the last one took.

        Both moments are Postgres' own: when it had closed the segment, and when it was told that it is kept.
        """
        self.sql(f"SELECT pg_logical_emit_message(true, 'bench', '{secrets.token_hex(4)}')")
        closed = "SELECT pg_walfile_name(pg_switch_wal() - 1), extract(epoch FROM clock_timestamp())"
        name, at = self.sql(closed).split("|")
        seen: list[float] = []

        def missing() -> str | None:
            told = "SELECT last_archived_wal, extract(epoch FROM last_archived_time) FROM pg_stat_archiver"
            last, when = self.sql(told).split("|")
            # A backup's own file is named after the segment in which the backup began.
            if last[:24] < name:
                return f"{last or 'nothing'} is the last"
            seen.append(float(when))
            return None

        wait_until(f"segment {name} in the repository", missing, limit=limit, every=0.2)
        return max(0.0, seen[0] - float(at))

    def lose_database(self) -> None:
        """Kill the database's container with -9, and lose its disk with it."""
        self.platform.kill(self.container(DATABASE))
        self.platform.remove(self.container(DATABASE))
        with asked("remove the database's disk"):
            self.platform.client.volumes.get(self.volume(DATABASE)).remove(force=True)

    # -- the repository ----------------------------------------------------------------------------

    def backup(self, compress: str = "", limit: Duration = "30m") -> str:
        """A full backup; its label."""
        chosen = compress or self.settings.compress
        given = {"PGBACKREST_COMPRESS_TYPE": chosen, "PGBACKREST_PROCESS_MAX": str(self.settings.processes)}
        return self.run(REPOSITORY, "take-backup", "full", limit=limit, env=given).split()[-1]

    def repository_size(self) -> int:
        """Bytes that backups and archive take."""
        return int(self.run(REPOSITORY, "du", "-sb", REPOSITORY_PATH).split()[0])

    def receive(self) -> None:
        """Have WAL received as it is written; returns once it is."""
        self.run(REPOSITORY, "touch", "/run/backup/receive")
        query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"

        def lacking() -> str | None:
            return None if self.sql(query) == "1" else "nothing is received"

        wait_until("WAL that is received", lacking, limit="30s", every=0.2)

    # -- restores ----------------------------------------------------------------------------------

    def forget(self, *places: str) -> None:
        """Write out what waits for it, and have the kernel forget the files of the repository, and those at
        `places` on the clean host: whoever reads them next reads the disk, or what lies before it.
        """
        self.run(SIDE, "sync", limit="5m")
        self.run(REPOSITORY, "python3", "-c", _FORGET, REPOSITORY_PATH, limit="5m")
        if places:
            self.run(SIDE, "python3", "-c", _FORGET, *places, limit="5m")

    def copy(self, processes: int = 0, limit: Duration = "30m") -> float:
        """Copy the newest backup's files into the clean place; seconds until they are on the disk."""
        given = {"PGBACKREST_PROCESS_MAX": str(processes or self.settings.processes)}
        return self.timed(SIDE, "restore-cluster", "--only", "copy", limit=limit, env=given)

    def replay(self, limit: Duration = "30m") -> Replayed:
        """Replay all WAL that the archive has over what was copied, until the cluster takes writes."""
        self.run(SIDE, "restore-cluster", "--only", "replay", limit=limit)
        account = self.run(SIDE, "cat", "/run/restore/last.json")
        log = self.run(SIDE, "cat", RECOVERY_LOG)
        found = {name: float(re.findall(rf'"{name}": ([\d.]+)', account)[0]) for name in _TAKEN}
        return replayed(log, *(found[name] for name in _TAKEN))

    def drop(self) -> None:
        """End what was restored, and remove its files."""
        self.run(SIDE, "drop-cluster", limit="5m")

    def copied_size(self) -> int:
        """Bytes of the files in the place of the restore."""
        return int(self.run(SIDE, "du", "-sb", DATA).split()[0])


_TAKEN = ("replayed_s", "opened_s")
_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) .*?LOG:\s+(.*)$", re.MULTILINE)
_LSN = re.compile(r"redo (?:starts|done) at ([0-9A-F]+)/([0-9A-F]+)")


def replayed(log: str, until_open_s: float, opened_s: float) -> Replayed:
    """Part what a recovery took, by its log: the replay ends with "redo done", the rest belongs to opening.

    `until_open_s` are the seconds from the start of Postgres until it was no longer in recovery, `opened_s`
    those from then until it took a write. ValueError if the log does not tell.
    """
    at: dict[str, tuple[datetime, int]] = {}
    for stamp, text in _LINE.findall(log):
        for what in ("redo starts", "redo done", "database system is ready to accept connections"):
            if text.startswith(what):
                lsn = _LSN.match(text)
                place = (int(lsn[1], 16) << 32) + int(lsn[2], 16) if lsn else 0
                at[what.rsplit(" ", 1)[-1]] = datetime.fromisoformat(stamp), place
    if not {"starts", "done", "connections"} <= at.keys():
        raise ValueError(f"the log does not tell how the recovery went: {log[-500:]!r}")
    opening = (at["connections"][0] - at["done"][0]).total_seconds()
    opening = min(max(opening, 0.0), until_open_s)
    return Replayed(until_open_s - opening, opening + opened_s, at["done"][1] - at["starts"][1])


@contextmanager
def hosts(settings: Settings, disk_mib: int = 4096) -> Iterator[Hosts]:
    """The three hosts, the database running and archiving; removed at the end, whatever happens.

    Raises PlatformError where the engine has less than `disk_mib` of disk free.
    """
    platform = DockerPlatform(connect())
    check_room(1024, disk_mib, platform.client)
    images = (stack.instance(DATABASE).image, stack.instance(REPOSITORY).image)
    tags = ensure_images(images, progress=print)
    given = Hosts(f"bench-{secrets.token_hex(4)}", settings, platform, secrets.token_hex(16))
    try:
        _launch(given, images, tags)
        _prepare(given)
        yield given
    finally:
        platform.remove_run(given.run_id)
        platform.client.close()


def _launch(given: Hosts, images: Sequence[Image], tags: Mapping[str, str]) -> None:
    postgres, repository = (tags[image.name] for image in images)
    labels = {
        "blackstart.run": given.run_id,
        "blackstart.stack": "bench",
        "blackstart.service": "",
        "blackstart.zone": "",
    }
    net = f"blackstart-{given.run_id}"
    client = given.platform.client
    network(client, net, labels)
    authority = Authority.make(f"Blackstart run {given.run_id}")
    chosen = {"COMPRESS": given.settings.compress, "PROCESSES": str(given.settings.processes)}
    node = {"ARCHIVE": REPOSITORY, **chosen}
    every = {f"{kind}_EVERY_S": _NEVER for kind in ("FULL", "DIFF", "INCR", "VERIFY")}
    host = {
        "NODES": DATABASE,
        "CLIENTS": f"{DATABASE} {SIDE}",
        "REPOSITORY_KEY": REPOSITORY_KEY,
        "KEEP_FULL": "1",
        "PRIMARY": f"host={DATABASE} port={_PORT}",
        "REPLICATION_PASSWORD": given.password,
        **chosen,
        **every,
    }
    # Backups are taken through the database's host; the clean one waits for what it is told to do.
    made: tuple[tuple[str, str, str, dict[str, str], tuple[str, ...] | None], ...] = (
        (REPOSITORY, repository, REPOSITORY_PATH, host, None),
        (DATABASE, postgres, POSTGRES_DISK, node, ("pgbackrest", "server")),
        (SIDE, postgres, POSTGRES_DISK, node, ("sleep", "infinity")),
    )
    for name, image, place, env, command in made:
        own = labels | {"blackstart.service": name, "blackstart.instance": name}
        with asked(f"create volume {given.volume(name)}"):
            client.volumes.create(given.volume(name), driver="local", labels=own)
        pem = authority.issue((name,), valid=_VALID, client=True)
        ports = launch(
            client,
            image,
            given.container(name),
            labels=own,
            command=command,
            env={**env, "BACKUP_PEM": pem, "BACKUP_CA": authority.certificate},
            publish=(_PORT,) if name == DATABASE else (),
            mounts={given.volume(name): place},
            hostname=name,
            network=net,
            networking_config={net: client.api.create_endpoint_config(aliases=[name])},
        )
        given.port = ports.get(_PORT, given.port)


def _prepare(given: Hosts) -> None:
    """Make a cluster that archives, and have the repository take it for its own."""
    locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8")
    made = ("--data-checksums", "--no-sync", *locale, "--auth-local=trust", "--auth-host=scram-sha-256")
    segment = f"--wal-segsize={given.settings.segment_mb}"
    given.run(DATABASE, "initdb", "-D", DATA, "-U", "postgres", *made, segment, user="postgres")
    _append(
        given,
        "postgresql.conf",
        "listen_addresses = '*'",
        "log_timezone = UTC",
        "archive_mode = on",
        "archive_command = '/usr/local/bin/pgbackrest-push.sh %p'",
        f"archive_timeout = {given.settings.archive_timeout}",
        # Its work would fall into one round and not into another.
        "autovacuum = off",
    )
    _append(
        given,
        "pg_hba.conf",
        "host all all all scram-sha-256",
        "host replication replicator all scram-sha-256",
    )
    given.start()
    given.sql(f"ALTER ROLE postgres PASSWORD '{given.password}'")
    given.sql(f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{given.password}'")

    def refused() -> str | None:
        # Its own schedule tries the same: whoever is first locks the other out for a moment.
        given.run(REPOSITORY, "pgbackrest", f"--stanza={STANZA}", "stanza-create", user="backup")
        return None

    wait_until("a stanza", refused, limit="60s", every=0.5)


def _append(given: Hosts, name: str, *lines: str) -> None:
    script = 'file=$1; shift; printf "%s\\n" "$@" >> "$file"'
    given.run(DATABASE, "sh", "-c", script, "sh", f"{DATA}/{name}", *lines)
