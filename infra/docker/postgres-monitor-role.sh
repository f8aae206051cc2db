#!/bin/bash
# Gives Postgres the role of its exporter, which may read statistics and no table. Safe to repeat: each start sets the password
# that the exporter has, also in a database that was there before.
set -euo pipefail
secrets=${SECRETS:-/run/secrets}
PGPASSWORD=$(<"$secrets/postgres_password")
export PGPASSWORD
cd "$secrets"   # psql reads the other password itself: an argument would be seen by every process
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="${PGHOST:-postgres}" --username=postgres --dbname=postgres <<'SQL'
\set password `cat monitor_database_password`
SELECT 'CREATE ROLE monitor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') \gexec
ALTER ROLE monitor LOGIN CONNECTION LIMIT 5 PASSWORD :'password';
GRANT pg_monitor TO monitor;
SQL
