"""Upgrade MLflow's database to the tables of the installed MLflow. The server itself creates the tables of an empty database.

The database's address is in the file that MLFLOW_DATABASE_URL_FILE names: `mlflow db upgrade` would show it on its command line.
"""

from __future__ import annotations

import os
from pathlib import Path

from mlflow.cli import cli
from sqlalchemy import create_engine, inspect


def main() -> None:
    """Upgrade existing tables. Errors of SQLAlchemy and MLflow are not caught: then the container ends before the server starts."""
    url = Path(os.environ["MLFLOW_DATABASE_URL_FILE"]).read_text(encoding="utf-8").strip()
    engine = create_engine(url)
    is_new = not inspect(engine).has_table("experiments")
    engine.dispose()
    if is_new:
        print("The database is empty: the server makes its tables.")
    else:
        cli(["db", "upgrade", url], standalone_mode=False)


if __name__ == "__main__":
    main()
