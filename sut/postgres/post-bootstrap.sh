#!/bin/sh
# Run once by Patroni on the first primary; $1 is its connection string as superuser.
set -eu

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
