"""The secrets' files that are mounted here: readable, not empty, in their shape."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from retrain.doctor.finding import Finding, ok, unknown, wrong
from retrain.doctor.secret_shapes import problem, watch_may_sign_in
from retrain.doctor.surroundings import Surroundings

_PAGE = "infra/docs/secrets.md"


def check(here: Surroundings) -> Iterator[Finding]:
    """Each secret of this container. The others are checked in the containers that have them."""
    files = sorted(path for path in here.secrets.glob("*") if not path.name.startswith(".") and not path.is_dir())
    if not files:
        yield unknown("secrets", f"no files in {here.secrets}: this is no container of the deployment")
        return
    texts: dict[str, str] = {}
    for path in files:
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except OSError as error:
            yield wrong(f"secret {path.name}", f"cannot be read ({error.strerror}){_owner(path)}", _replace(path.name))
        except UnicodeDecodeError:
            yield wrong(f"secret {path.name}", "is not text", _replace(path.name))
    for name, text in texts.items():
        said = problem(name, text)
        yield wrong(f"secret {name}", said, _replace(name)) if said else ok(f"secret {name}", "has its shape")
    if {"airflow_passwords", "watch_password"} <= texts.keys() and not watch_may_sign_in(
        texts["airflow_passwords"], texts["watch_password"]
    ):
        yield wrong(
            "secret watch_password",
            "is not the password of the user watch in airflow_passwords",
            _replace("watch_password"),
        )


def _owner(path: Path) -> str:
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    return f": it belongs to user {owner}, this process is user {os.geteuid()}"


def _replace(name: str) -> str:
    return f"Put the right value there: {_PAGE} has a row for {name}."
