#!/bin/bash
# Postgres's image runs this on an empty data folder: it creates a role and a database for Airflow, and for MLflow.
set -euo pipefail
for name in airflow mlflow; do
  psql --quiet --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --set=password="$(cat "/run/secrets/${name}_database_password")" <<SQL
CREATE ROLE $name LOGIN PASSWORD :'password';
CREATE DATABASE $name OWNER $name;
REVOKE CONNECT ON DATABASE $name FROM PUBLIC;
SQL
done
