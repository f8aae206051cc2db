"""Bring MLflow's database to this MLflow's tables; a new and empty one is left to the server, which makes them.

The address is in the file that MLFLOW_DATABASE_URL_FILE names: `mlflow db upgrade` would take it on its command line.
"""

from __future__ import annotations

import os
from pathlib import Path

from mlflow.cli import cli
from sqlalchemy import create_engine, inspect


def main() -> None:
    """Upgrade what is there. Raises what SQLAlchemy and MLflow raise: a container that ends with it starts no server."""
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
