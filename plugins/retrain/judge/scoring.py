"""The error of each model and baseline that competes for promotion, all on the partition's rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain.archive import recorded_environment
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Promotion
from retrain.errors import EnvironmentDefinitionError, EnvironmentGoneError, ReportError, ScoreError, UnknownEntryError
from retrain.judge.day import number
from retrain.judge.json_file import read_object
from retrain.store.ledger import Ledger
from retrain.work import process
from retrain.work.environments.environment import Environment
from retrain.work.run_environment import RunEnvironment
from retrain.work.service_credentials import Credentials
from retrain.work.stage_variables import StageVariables
from retrain.work.workspace import Workspace

_TIMEOUT_SECONDS = 900.0


def score(
    gate: Promotion, place: Workspace, run: RunEnvironment, variables: StageVariables, model: Path, name: str
) -> float:
    """One model's error on the partition's rows, computed by the release's program in a process of its own.

    Args:
        gate: section `promotion` of the pipeline's file, which names program, rows and metric.
        place: the run's workspace; the answer of the program is written to `<name>.json` beside the checkout.
        run: the environment that the model was trained in, with the projects of the run's checkout.
        variables: those of the stages, which the program gets too.
        model: the model's folder or file.
        name: `challenger` or `champion`.

    Returns:
        the error, in the metric's unit.

    Raises:
        ScoreError: the program failed, took over 15 minutes, or wrote no such number.
    """
    program, *arguments = gate.score
    out = place.path / f"{name}.json"
    done = process.run(
        [run.program(program), *arguments, model, place.project / gate.rows, out],
        cwd=place.project,
        env=variables.over(process.environment(PATH=run.search_path, PYTHONDONTWRITEBYTECODE="1")),
        timeout=_TIMEOUT_SECONDS,
        hidden=variables.hidden,
    )
    if done.returncode != 0 or not out.is_file():
        raise ScoreError(
            f"The {name} could not be scored: {done.lines[-1] if done.lines else 'no output'}. The champion is unchanged."
        )
    try:
        return number(read_object(out), gate.metric)
    except (KeyError, TypeError, ValueError) as error:
        raise ScoreError(
            f"{' '.join(gate.score)} wrote no number {gate.metric} for the {name} ({error!r}). The champion is unchanged. "
            "Correct promotion in the pipeline's file, or the program in a new release."
        ) from error


def baselines(gate: Promotion, measured: Mapping[str, Any]) -> dict[str, float]:
    """The error of each baseline by name. `measured` is the content of the pipeline's metrics file.

    Raises:
        ReportError: the file lacks a baseline's error.
    """
    try:
        return {name: number(measured, name, gate.metric) for name in gate.baselines}
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{gate.metrics} has no {gate.metric} of the baseline {error}. Correct promotion in the pipeline's file."
        ) from error


def environment_of_champion(
    deployment: Deployment, ledger: Ledger, environments: Path, tags: Mapping[str, str], credentials: Credentials
) -> Environment:
    """The environment that the champion was trained in, installed again from its ledger entry.

    In another environment, a model may give other numbers, or fail to load.

    Args:
        deployment: the pipeline's file.
        ledger: where the entry of the champion's run is.
        environments: the folder of all environments.
        tags: those of the champion's model version in MLflow.
        credentials: those of the pipeline, with its Git origin.

    Raises:
        ScoreError: the environment cannot be installed again.
    """
    try:
        record = ledger.entry(deployment.pipeline, tags["partition"], tags.get("run_key"))
        return recorded_environment.provide(record, ledger, deployment.repository, environments, credentials)
    except (EnvironmentGoneError, EnvironmentDefinitionError, UnknownEntryError) as error:
        raise ScoreError(
            f"The champion, version {tags['version']} of {tags['partition']}, cannot be scored without its own environment: "
            f"{error} The champion is unchanged, and no model is promoted until this is fixed."
        ) from error
