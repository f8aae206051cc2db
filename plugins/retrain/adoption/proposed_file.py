"""Writes a proposal as a commented pipeline's file."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain.adoption.errors import PipelineFileExistsError
from retrain.adoption.proposal import Proposal
from retrain.alerts.redaction import redact
from retrain.deployment import pipeline_file
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import ConfigurationError

VARIABLES = ("RETRAIN_RAW_BUCKET", "RETRAIN_STORE_BUCKET", "RETRAIN_LEDGER_BUCKET", "RETRAIN_SLACK_CHANNEL")
_VALUES = {name: "#placeholder" if name == "RETRAIN_SLACK_CHANNEL" else "placeholder-bucket" for name in VARIABLES}
_START = "2026-01-01"


def render(name: str, proposal: Proposal, commit: str) -> str:
    """The text of `<name>.yaml`."""
    return "\n".join(
        [
            *_head(name, proposal, commit),
            *_data(name, proposal),
            *_variables(proposal),
            *_stores(),
            *_results(name, proposal),
            "",
        ]
    )


def _head(name: str, proposal: Proposal, commit: str) -> Iterator[str]:
    yield f"# Proposed by make check from commit {commit[:12]}. Read each line marked CHANGE. infra/docs/pipeline-file.md has every key."
    yield "# ${NAME} is read from the environment of Airflow's components."
    yield "schema_version: 1"
    yield f"description: The pipeline {name}, retrained every day.   # CHANGE: one sentence, shown in Airflow"
    yield f"owner: {name}                # CHANGE: the team that alerts name"
    yield ""
    yield "schedule:"
    yield '  cron: "0 6 * * *"           # CHANGE: the run of day D starts on D+1 at this time'
    yield "  timezone: UTC               # a partition is a day in this time zone"
    yield f"  start_date: {_START}      # CHANGE: the first day with data"
    yield ""
    yield "repository:"
    yield f"  url: {_quoted(proposal.url)}"
    if proposal.tags:
        yield f"  tags: {_quoted(proposal.tags)}   # the tags that are releases"
    else:
        yield '  # tags: "{name}@v{version}"   # the tags that are releases, if they are not vX.Y.Z'
    if proposal.prereleases:
        yield "  prereleases: true           # the repository has no other releases"
    if proposal.place.folder != ".":
        yield f"  folder: {_quoted(proposal.place.folder)}   # paths below are those from the top of its DVC project"
    if proposal.environment == proposal.place.folder:
        yield "  # environment: folder       # the folder of the lock, requirements.txt or pyproject.toml, if it is another one"
    else:
        yield f"  environment: {_quoted(proposal.environment)}"
    yield ""
    if proposal.python:
        yield "packages:"
        yield f'  python: "{proposal.python}"            # the repository does not take the deployment\'s own'
        yield "  # lock: name.txt            # a requirements file beside this file, instead of the repository's own files"
    else:
        yield "# packages: {lock: name.txt}  # a requirements file beside this file, instead of the repository's own files"
    yield ""
    if proposal.left_out:
        yield f"# CHANGE: these stages run, and all that they need. Left out: {_plain(', '.join(proposal.left_out))}, which would deliver every day."
        yield "targets:"
        yield from (f"  - {_quoted(name)}" for name in proposal.place.targets)
    elif proposal.place.targets == "all":
        yield "targets: all                  # every dvc.yaml; or a list of dvc.yaml files and stages"
    else:
        yield "# targets: [stage]            # what to run, with all that it needs; by default the dvc.yaml of the folder"
    yield ""


def _data(name: str, proposal: Proposal) -> Iterator[str]:
    if proposal.has_raw:
        yield "raw:"
        yield f"  url: s3://${{RETRAIN_RAW_BUCKET}}/raw/{name}   # CHANGE: where the day's data lands, in folders dt=YYYY-MM-DD/"
        yield "  window_days: 1              # CHANGE: how many days a run reads, its own included"
        yield "  # partition: year={year}/month={month}/day={day}   # if the folders are named in another way"
        yield "  # marker: _SUCCESS          # the object that lands last; null with quiet_minutes if there is none"
    else:
        yield "# There is no section raw: the stages fetch all their data. With it, a run waits for the day's objects in S3."
    yield ""
    yield from _inputs(proposal)
    yield from _remotes(proposal)
    if proposal.params:
        yield "params:                       # set for each run; {partition} is its day, YYYY-MM-DD"
        for file, values in proposal.params.items():
            yield f"  {_quoted(file)}:"
            yield from (f"    {_quoted(key)}: {_quoted(value)}" for key, value in values.items())
    else:
        yield "# params:                     # set for each run"
        yield '#   params.yaml: {data.date: "{partition}"}'
    yield ""
    if proposal.fetch:
        yield "fetch:                        # stages that fetch their own data: they run once for each run"
        yield from (f"  - {_quoted(stage)}   # {_plain(why)}" for stage, why in proposal.fetch.items())
    else:
        yield "# fetch: [stage]              # stages that fetch their own data"
    yield "# static: [stage]             # stages whose outputs are meant to be the same every day"
    yield ""


def _remotes(proposal: Proposal) -> Iterator[str]:
    if not proposal.remotes:
        return
    yield "# Tracked data is fetched from the release's own DVC remotes: S3 with aws_conn_id, others without credentials, unless named here."
    yield "# remotes:"
    for name, kind in proposal.remotes.items():
        yield f"#   {_plain(name)}: {{connection: their_{re.sub(r'[^a-z0-9]', '_', kind)}}}   # CHANGE: Airflow's connection for the {_plain(kind)} remote"
    yield ""


def _inputs(proposal: Proposal) -> Iterator[str]:
    if proposal.inputs:
        yield "# The raw objects of the day, laid where the stages read them, in place of the commit's own file or .dvc file."
        yield "inputs:"
        for each in proposal.inputs:
            reason = {
                "committed": "committed to Git",
                "absent": "not in the commit",
                "tracked": f"tracked by {each.where}",
            }.get(each.kind, each.where)
            yield f"  - path: {_quoted(each.path)}   # {_plain(reason)}; read by {_plain(', '.join(each.stages))}"
            yield "    days: partition           # window: all days of the window"
            if each.is_file:
                yield "    names: file               # the path is the one object of the day itself"
                if len(proposal.inputs) > 1:
                    yield f"    objects: {_quoted(objects(each.path))}   # CHANGE: which of the day's objects"
                else:
                    yield '    # objects: "orders*.csv"  # CHANGE: which object, if a day has several'
            else:
                yield "    names: flat               # the objects' names, without their folders"
        yield ""
    elif proposal.has_raw:
        yield "# No stage seems to read raw data at a path. A stage may read the day's objects from manifest.json, or:"
        yield "# inputs:"
        yield "#   - {path: data/raw, days: partition, names: flat}"
        yield ""


def _variables(proposal: Proposal) -> Iterator[str]:
    if proposal.env:
        yield "env:                          # variables of the stages"
        yield from (f"  {name}: {_quoted(value)}" for name, value in proposal.env.items())
        yield ""
    if proposal.unset:
        yield "# CHANGE: these variables have no default. Give each a value under env, or take it out of Airflow, also from a Variable:"
        yield "# secrets:"
        for name, where in proposal.unset.items():
            yield f"#   {name}: {{connection: some_connection, value: password}}   # read by {_plain(where)}"
        yield ""


def objects(path: str) -> str:
    """The pattern of the names of the objects for one file."""
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    return f"{stem}*{suffix}"


def _stores() -> Iterator[str]:
    yield "store: s3://${RETRAIN_STORE_BUCKET}/dvc"
    yield "ledger: s3://${RETRAIN_LEDGER_BUCKET}/ledger"
    yield ""


def _results(name: str, proposal: Proposal) -> Iterator[str]:
    yield "tracking:"
    yield f"  experiment: {name}"
    if proposal.model:
        yield f"  model: {name}               # {_plain(proposal.model)} is registered under this name"
    else:
        yield f"  # model: {name}             # needs an artifact of type model in dvc.yaml"
    yield ""
    metrics = proposal.metrics[0] if proposal.metrics else "reports/metrics.json"
    yield "# Alerts and promotion are optional; infra/docs/pipeline-file.md says what each key means."
    yield "# performance:"
    yield f"#   metrics: {_plain(metrics)}"
    yield "#   model: model              # the section of that file with the model's error"
    yield "#   metric: mae               # lower is better"
    yield "# promotion:"
    yield "#   score: [python, score.py]"
    yield "#   rows: data/test.csv"
    yield f"#   metrics: {_plain(metrics)}"
    yield "#   challenger: model"
    yield "#   metric: mae"
    yield ""
    yield "slack:"
    yield "  channel: ${RETRAIN_SLACK_CHANNEL}"


def _quoted(text: str) -> str:
    """A text as YAML takes it, also in a comment's line. JSON's strings are YAML's."""
    return (
        text
        if re.fullmatch(r"[A-Za-z][\w./-]*", text)
        and text.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
        else json.dumps(text)
    )


def _plain(text: str) -> str:
    """A text of the repository within a comment: in one line, without credentials."""
    return redact("".join(c if c.isprintable() else " " for c in text))


def valid(name: str, text: str) -> Deployment:
    """Load the text as the file of the pipeline `name`.

    Raises:
        ConfigurationError: it is not valid, or the name is no pipeline's.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return pipeline_file.load(path, _VALUES, calendar=False)


def refuse_existing(path: Path) -> None:
    """Refuse to write over a file, before anything is fetched.

    Raises:
        PipelineFileExistsError: it exists.
    """
    if path.exists():
        raise _exists(path)


def _exists(path: Path) -> PipelineFileExistsError:
    return PipelineFileExistsError(f"{path} exists, and is not overwritten. Choose another name: WRITE=<name>")


def write(path: Path, text: str) -> None:
    """Write the file, which must not exist.

    Raises:
        PipelineFileExistsError: it exists.
        ConfigurationError: its folder does not exist, or may not be written to.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}). Correct the folder that RETRAIN_PIPELINES names, or its permissions."
        ) from error
