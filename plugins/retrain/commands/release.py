"""`release`: makes a tag live, or a commit without one."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from retrain.commands import pin_moves
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.pin import airflow, pin_answer
from retrain.inputs import reproduced_day
from retrain.inputs.release_check import require_runnable
from retrain.run.errors import ReleaseChoiceError
from retrain.run.release import check_tag
from retrain.run.tag_pattern import TagPattern
from retrain.store import ledger_facts
from retrain.store.labels import labelled
from retrain.work import workspace
from retrain.work.dvc.project_root import project_root
from retrain.work.environments import uv


def add(commands: Subparsers) -> None:
    """Add `release` with a tag, or with --commit and --as."""
    parser = add_command(commands, "release", answer, "Make a tag, or a commit without one, live.")
    parser.add_argument(
        "tag",
        nargs="?",
        help="a tag that fits repository.tags of the pipeline's file, or a label that was released before",
    )
    parser.add_argument("--commit", help="instead of a tag: a commit of the origin, by its first digits")
    parser.add_argument("--as", dest="label", help="the label of the commit, which it has from then on")


def answer(options: argparse.Namespace) -> Answer:
    """The pin after the release.

    Raises:
        ReleaseChoiceError: neither a tag nor a commit with a label is named, or both.
        ReleaseError: the tag or the commit cannot be released.
        OriginError: the Git origin, a submodule or a file in Git LFS cannot be read.
        StageSecretError: a secret of the stages does not exist.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    tag, digits, label = options.tag or "", options.commit or "", options.label or ""
    _require_choice(tag, digits, label)
    chosen, api = ChosenPipeline(options.pipeline), airflow(options)
    deployment, settings = chosen.deployment, chosen.deployment.run_settings()
    pattern = TagPattern.of(deployment)
    chosen.services.credentials.stage_secrets()

    def examine(checkout: Path) -> None:
        project = project_root(checkout, deployment.repository.folder)
        dvc = chosen.dvc(project)
        require_runnable(deployment, checkout, project, dvc, chosen.services.tracked, tag or label)
        dvc = dvc.aimed(settings)
        if lacking := reproduced_day.lacking_programs(dvc.describe(), dvc):
            sys.stderr.write(
                f"This machine lacks {lacking}. Make sure that the workers have them, or that packages of the release bring them.\n"
            )

    if tag and (again := labelled(chosen.ledger, options.pipeline, check_tag(tag))):
        digits, label = again.commit, tag
    elif tag and not ledger_facts.was_released(chosen.ledger, options.pipeline, tag):
        pattern.check(tag)
    # Without uv, as in the api-server's container, DVC cannot be asked here; `reproduce` is then the first to find out.
    asked = examine if uv.is_there() and os.environ.get("RETRAIN_HOME") else None
    if label:
        deploy = partial(pin_moves.deploy_commit, digits=digits, label=label, pattern=pattern)
    else:
        deploy = partial(pin_moves.deploy, tag=tag)
    with chosen.services.origin() as origin:
        pin = deploy(
            api,
            chosen.ledger,
            options.pipeline,
            origin.other(options.repository) if options.repository else origin,
            examine=asked,
            folder=settings.folder,
            laid=[each.path for each in settings.inputs],
            mirrors=workspace.mirrors() if asked else None,
        )
    return pin_answer(options.pipeline, pin)


def _require_choice(tag: str, digits: str, label: str) -> None:
    given = {"TAG": tag, "COMMIT": digits, "AS": label}
    names = [name for name, value in given.items() if value]
    if names not in (["TAG"], ["COMMIT", "AS"]):
        raise ReleaseChoiceError(
            f"Given: {', '.join(names) or 'nothing'}. Release a tag: make release TAG=v1.2.0, or a commit without one under a label: "
            "make release COMMIT=1a2b3c4d AS=trial-1"
        )
