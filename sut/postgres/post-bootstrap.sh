#!/bin/sh
# Run once by Patroni on the first primary; $1 is its connection string as superuser.
# A cluster from the repository has it all, but perhaps another password.
set -eu

found=$(psql --no-psqlrc -Atc "SELECT count(*) FROM pg_roles WHERE rolname = 'app'" "$1")
if [ "$found" = 1 ]; then
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v password="$APP_PASSWORD" "$1" <<'SQL'
ALTER ROLE app PASSWORD :'password';
SQL
  exit 0
fi

psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v password="$APP_PASSWORD" "$1" <<'SQL'
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE app OWNER app;
\connect app
CREATE EXTENSION vector;
-- The component probe's ledger. No unique constraint: one would hide duplicates.
CREATE TABLE probe_ledger (key text NOT NULL, id text NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE INDEX probe_ledger_key ON probe_ledger (key);
ALTER TABLE probe_ledger OWNER TO app;
-- pg_current_wal_lsn() and pg_walfile_name() are public: the probe reads its timeline in the same statement.
SQL
