"""The commands of the release pin: `python -m retrain release|rollback|pin`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from retrain import git
from retrain.airflow_api import AirflowApi
from retrain.errors import NoPinError, RetrainError
from retrain.release import Pin, Release, check_tag, variable


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 after one sentence on stderr."""
    options = _parser().parse_args(arguments)
    api = AirflowApi(options.airflow.rstrip("/"))
    try:
        if options.command == "release":
            pin = deploy(api, options.pipeline, options.repository, options.tag)
        elif options.command == "rollback":
            pin = _required(api, options.pipeline).rolled_back()
            api.set_pin(options.pipeline, pin)
        else:
            pin = _required(api, options.pipeline)
    except RetrainError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{options.pipeline} is on {pin.live.tag} ({pin.live.commit})")
    if pin.previous:
        print(f"before: {', '.join(release.tag for release in pin.previous)}")
    return 0


def deploy(api: AirflowApi, pipeline: str, repository: str, tag: str) -> Pin:
    """Pin `tag` at the commit that the origin names now, after looking into that commit.

    Raises:
        ReleaseError: no such tag, no dvc.yaml in it, or a tag that was pinned at another commit before.
    """
    check_tag(tag)
    with tempfile.TemporaryDirectory() as scratch:
        release = Release(tag, git.commit_of_tag(repository, tag, cwd=Path(scratch)))
        git.mirror(repository, release, Path(scratch) / "mirror.git")
    before = api.pin(pipeline)
    pin = before.moved_to(release) if before else Pin(release)
    if pin != before:
        api.set_pin(pipeline, pin)
    return pin


def _required(api: AirflowApi, pipeline: str) -> Pin:
    pin = api.pin(pipeline)
    if pin is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {variable(pipeline)} is not set. Run: make release TAG=vX.Y.Z"
        )
    return pin


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="retrain", description="Which release of a pipeline is live.")
    parser.add_argument("--pipeline", default="trip_duration", help="the pipeline (default: %(default)s)")
    parser.add_argument(
        "--airflow", default=os.environ.get("RETRAIN_AIRFLOW_URL", "http://127.0.0.1:8080"), help="Airflow's address"
    )
    parser.add_argument(
        "--repository", default=os.environ.get("RETRAIN_REPOSITORY", "."), help="the Git origin that holds the tags"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    release = commands.add_parser("release", help="make a tag live")
    release.add_argument("tag", help="vX.Y.Z")
    commands.add_parser("rollback", help="go back to the release before")
    commands.add_parser("pin", help="say what is live")
    return parser


if __name__ == "__main__":
    sys.exit(main())
