"""Rows for the benchmarks of restores: as many as a size asks for, and updates that write WAL."""

from __future__ import annotations

import random

from benchmarks.backups import Hosts

#: Of a row with its share of the index, so that the sizes come out near to what was asked for.
_ROW_BYTES = 237
#: What an empty cluster has, without its log.
_EMPTY_BYTES = 23_000_000
#: Rows of one statement of updates.
_AT_ONCE = 20_000
#: While rows are filled in, nothing is logged: the backup that comes after needs none of it.
_FILLING = ("wal_level=minimal", "max_wal_senders=0", "archive_mode=off", "fsync=off", "max_wal_size=4GB")
_MEMORY = "-c maintenance_work_mem=256MB"
#: Updates by key: a scan of all rows for a few thousand of them would measure the scan.
_BY_KEY = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c synchronous_commit=off"
_LIMIT = "30m"

# Of a row, the four keys are random and cannot be compressed; the rest can. Accounts as in pgbench.
_FILL = """
DROP TABLE IF EXISTS accounts;
CREATE TABLE accounts AS
SELECT n AS aid, (n % 100)::int AS bid, 0 AS abalance,
       gen_random_uuid() AS key_1, gen_random_uuid() AS key_2, gen_random_uuid() AS key_3,
       gen_random_uuid() AS key_4, repeat('an account of the branch ', 4) AS filler
FROM generate_series(1, {rows}::bigint) n;
ALTER TABLE accounts ADD PRIMARY KEY (aid);
"""
_UPDATES = """
DO $$
DECLARE
  began pg_lsn := pg_current_wal_insert_lsn();
BEGIN
  PERFORM setseed({seed});
  WHILE pg_current_wal_insert_lsn() - began < {volume} LOOP
    UPDATE accounts SET abalance = abalance + 1 WHERE aid IN (
      SELECT 1 + floor(random() * {rows})::bigint FROM generate_series(1, {at_once}));
    COMMIT;
  END LOOP;
END $$
"""


class Filled:
    """The rows of the database; the keys of the updates come of `seed`."""

    def __init__(self, given: Hosts, seed: int = 1) -> None:
        self._hosts, self._draw, self._rows = given, random.Random(seed), 0

    def fill(self, size: int) -> None:
        """Fill anew, so that the database has about `size` bytes, and none that updates have left."""
        self._rows = rows_of(size)
        self._hosts.stop()
        self._hosts.start(*_FILLING)
        self._hosts.sql(_FILL.format(rows=self._rows), limit=_LIMIT, options=_MEMORY)
        self._hosts.sql("ANALYZE accounts", limit=_LIMIT)
        self._hosts.stop()
        self._hosts.start()

    def write_wal(self, volume: int) -> None:
        """Update rows at random keys until so many bytes of WAL were written, and all are archived."""
        seed = round(self._draw.uniform(-1, 1), 6)
        statement = _UPDATES.format(rows=self._rows, at_once=_AT_ONCE, volume=volume, seed=seed)
        self._hosts.sql(statement, limit=_LIMIT, options=_BY_KEY)
        self._hosts.archive(_LIMIT)


def rows_of(size: int) -> int:
    """So many rows make a database of about `size` bytes; at least one."""
    return max(1, round((size - _EMPTY_BYTES) / _ROW_BYTES))
