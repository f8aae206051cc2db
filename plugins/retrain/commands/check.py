"""`check`: says whether and how another team's repository runs here, and proposes its pipeline's file."""

from __future__ import annotations

import argparse
import os

from retrain.adoption import address, proposed_file
from retrain.adoption.examination import Examination, examine
from retrain.adoption.observation import Effect
from retrain.commands.chosen_pipeline import pipelines_folder
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.deployment import pipeline_file
from retrain.errors import ConfigurationError
from retrain.work import workspace

_HEADINGS = {
    Effect.STOPS: "What would stop a run:",
    Effect.SURPRISES: "What a run would do that you may not expect:",
    Effect.NOTED: "Fine to know:",
}


def add(commands: Subparsers) -> None:
    """Add `check` with the repository, its reference, and the name of the file to write."""
    text = "Say whether and how another team's repository runs here, and propose its pipeline's file. Runs none of its code."
    parser = add_command(commands, "check", answer, text)
    # An address may have a secret in it by mistake, and any user of a machine sees the arguments of all processes.
    parser.add_argument("url", nargs="?", help="URL or folder of the repository (default: the variable REPO)")
    parser.add_argument("--ref", help="a tag, branch or commit (default: the variable REF, else the default branch)")
    parser.add_argument("--write", help="write dags/pipelines/NAME.yaml (default: the variable WRITE)")


def answer(options: argparse.Namespace) -> Answer:
    """What was found; well if a run would start, with the proposed file.

    Raises:
        RetrainError: the repository cannot be read, or the file cannot be written.
    """
    given = {name: os.environ.get(name, "") for name in ("REPO", "REF", "WRITE")}
    url = address.checked(options.url or given["REPO"])
    wanted = options.ref or given["REF"]
    reference = address.checked_reference(wanted) if wanted else ""
    name = options.write or given["WRITE"]
    path = pipelines_folder() / f"{name}.yaml"
    if name:
        pipeline_file.check_name(name)
        proposed_file.refuse_existing(path)
    found = examine(url, reference, workspace.home() / "environments")
    text = proposed_file.render(name or "pipeline", found.proposal, found.commit)
    try:
        proposed_file.valid(name or "pipeline", text)
    except ConfigurationError as error:
        raise ConfigurationError(f"The proposed file is not valid, which is a fault of check: {error}") from error
    if name:
        proposed_file.write(path, text)
    document = {**found.to_document(), "proposed": text, "written": str(path) if name else None}
    return Answer(document, [*_lines(found), *_written(path, name)], found.would_start)


def _lines(found: Examination) -> list[str]:
    lines = [f"{found.url} at {found.reference} ({found.commit[:12]})"]
    for effect in Effect:
        of_kind = [each.line for each in found.observations if each.effect is effect]
        if of_kind:
            lines += ["", _HEADINGS[effect], *of_kind]
    counts = found.to_document()["counts"]
    told = ", ".join(f"{count} {effect}" for effect, count in counts.items())
    verdict = "A run would start" if found.would_start else "A run would not start, or would fail"
    return [*lines, "", f"{verdict}. {told} ({found.seconds} s)."]


def _written(path: object, name: str) -> list[str]:
    if not name:
        return ["WRITE=<name> writes dags/pipelines/<name>.yaml with the keys above."]
    return [f"Written: {path}. Read each line marked CHANGE before the first release."]
