"""The same repositories with a mistake in their pipeline's file or in the release: refused with a sentence that names it, by `make release`, and before any stage runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from adopted import Adopted
from shape import Shape
from team_server import TeamServer

from retrain.airflow.adapters import services
from retrain.commands import release
from retrain.errors import RetrainError
from retrain.inputs.errors import (
    DayIndependentError,
    FetchStageError,
    InputNamesError,
    MissingProgramError,
    NotOnRemoteError,
    ParamsKeyError,
    RemoteDeniedError,
    RemoteUnreachableError,
)
from retrain.run.errors import LabelTakenError
from retrain.run.release import Pin, Release
from retrain.store.labels import fix_label
from retrain.tasks.reproduce import reproduce
from retrain.work.dvc.errors import TargetError
from retrain.work.environments.environment import Environment
from retrain.work.environments.errors import LocalPathError, PythonMissingError, StaleLockError, SuppliedLockError
from retrain.work.errors import LargeFilesRefusedError, StageSecretError

pytestmark = pytest.mark.slow

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 1234567\n"
LOST = "00112233445566778899aabbccddeeff"
OUTSIDE = """
[project]
name = "plant"
version = "2.0.0"
requires-python = ">=3.10"
dependencies = ["gauges"]
[tool.uv]
package = false
[tool.uv.sources]
gauges = { path = "../../gauges" }
"""


@dataclass(frozen=True)
class Mistake:
    """A shape with other keys or files, the error, and parts of its sentence. `late` is True if only a run can know."""

    name: str
    error: type[RetrainError]
    said: tuple[str, ...]
    changed: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    late: bool = False


@dataclass
class Pins:
    """The pin of one pipeline, where Airflow has a Variable."""

    found: Pin | None = None

    def pin(self, pipeline: str) -> Pin | None:
        del pipeline
        return self.found

    def set_pin(self, pipeline: str, pin: Pin) -> None:
        del pipeline
        self.found = pin


MISTAKES = {
    "a sample in Git and no inputs: each day would have the sample's numbers": Mistake(
        "csv_sample", DayIndependentError, ("metrics.json", "evaluate", "inputs"), {"inputs": []}
    ),
    "a sample that DVC tracks on a remote that does not have it, and no inputs": Mistake(
        "reference_data",
        NotOnRemoteError,
        ("data/weather.csv", "lab", "dvc push"),
        files={"data/weather.csv.dvc": f"outs:\n- md5: {LOST}\n  size: 41\n  path: weather.csv\n"},
    ),
    "a connection that the team's own S3 server does not know": Mistake(
        "reference_data",
        RemoteDeniedError,
        ("lab", "strangers", "GetObject"),
        {"remotes": {"lab": {"connection": "strangers"}, "prices": {"connection": "bicycles_prices"}}},
    ),
    "a sample that DVC tracks on a remote that does not answer, and no inputs": Mistake(
        "dvc_added_sample", RemoteUnreachableError, ("data/raw.csv.dvc", "train", "Remote lab (s3://"), {"inputs": []}
    ),
    "a stage that fetches under another name": Mistake(
        "fetching", FetchStageError, ("downloads", "download,"), {"fetch": ["downloads"]}
    ),
    "a param that the release does not have": Mistake(
        "templated",
        ParamsKeyError,
        ("params.json", "data.day"),
        {"params": {"params.json": {"data.day": "{partition}"}}},
    ),
    "two files of a day under one name": Mistake(
        "spark_parts",
        InputNamesError,
        ("part-00000-9a4e11d2-c000.csv", "part-00001-9a4e11d2-c000.csv", "visits/2020-03-08.csv"),
        {"inputs": [{"path": "visits", "objects": "part-*.csv", "names": "{partition}.csv"}]},
        late=True,
    ),
    "a target that is no stage": Mistake(
        "several_files", TargetError, ("trian", "train", "targets"), {"targets": ["trian", "report/dvc.yaml"]}
    ),
    "a uv.lock that does not fit its pyproject.toml": Mistake(
        "several_files",
        StaleLockError,
        ("uv.lock", "needs to be updated", "Run uv lock"),
        files={
            "pyproject.toml": OUTSIDE.replace('"../../gauges"', '"gauges"'),
            "gauges/pyproject.toml": '[project]\nname = "gauges"\nversion = "1"\n',
        },
    ),
    "a package outside the repository, by pyproject.toml": Mistake(
        "several_files", LocalPathError, ("../../gauges",), files={"pyproject.toml": OUTSIDE}
    ),
    "a package outside the repository, by requirements.txt": Mistake(
        "csv_sample", LocalPathError, ("requirements.txt", "../gauges"), files={"requirements.txt": "-e ../gauges\n"}
    ),
    "a lock beside the pipeline's file that is not there": Mistake(
        "submodule_conda", SuppliedLockError, ("nobody.txt", "packages.lock"), {"packages": {"lock": "nobody.txt"}}
    ),
    "a secret whose connection does not exist": Mistake(
        "composed_params",
        StageSecretError,
        ("CHARTS_TOKEN", "nobody"),
        {"secrets": {"CHARTS_TOKEN": {"connection": "nobody"}}},
    ),
    "a pointer of Git LFS": Mistake(
        "csv_sample",
        LargeFilesRefusedError,
        ("settings.ini", "git-lfs"),
        files={".gitattributes": "*.ini filter=lfs diff=lfs merge=lfs -text\n", "settings.ini": POINTER},
    ),
    "a Python that is not there": Mistake(
        "csv_sample", PythonMissingError, ("3.99", "packages.python"), {"packages": {"python": "3.99"}}
    ),
    "a program that is not there": Mistake(
        "fetching",
        MissingProgramError,
        ("a-program-of-theirs", "report", "queue"),
        files={
            "dvc.yaml": "stages:\n  download: {cmd: python download.py, deps: [download.py], outs: [rates.json]}\n"
            "  report: {cmd: a-program-of-theirs rates.json, deps: [rates.json], outs: [report.txt]}\n"
        },
        late=True,  # the machine of `make release` may be another than the workers
    ),
}


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Pins:
    """The pins of `make release`; nothing is pinned."""
    found = Pins()
    monkeypatch.setattr(release, "airflow", lambda _: found)
    return found


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_by_make_release_and_before_any_stage_runs(
    request: pytest.FixtureRequest,
    case: str,
    s3,
    source: TeamServer,
    environments: Path,
    deployment_dvc: Environment,
    pins: Pins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake = MISTAKES[case]
    if mistake.error is LargeFilesRefusedError and shutil.which("git-lfs"):
        pytest.skip("this machine has git-lfs, and fetches the file")
    assert deployment_dvc.has_dvc_on_s3
    shape = Shape(mistake.name)
    lab = request.getfixturevalue("lab") if shape.has_lab else None
    # In another ledger the shape's tag has another commit.
    ledger = f"s3://${{RETRAIN_LEDGER_BUCKET}}/refused/{list(MISTAKES).index(case)}"
    team = Adopted.start(
        shape, tmp_path, s3, source, lab, environments, monkeypatch, [], mistake.files, ledger=ledger, **mistake.changed
    )
    asked = set(source.asked)
    if not mistake.late:
        with pytest.raises(mistake.error) as caught:
            team.release()
        assert [part for part in mistake.said if part not in str(caught.value)] == []
        assert pins.found is None
    day = next(iter(shape.days))
    team.land(day)
    with pytest.raises(mistake.error) as caught:
        reproduce(services(team.deployment), team.resolve(day, "scheduled"))
    assert [part for part in mistake.said if part not in str(caught.value)] == []
    assert team.answer("history") == []
    feeds = {path for path in source.asked if not path.startswith("/private/prices/")} - {"/holidays.csv"}
    assert feeds <= asked
    kept = [path for path in (tmp_path / "home" / "cache" / shape.name).rglob("*") if path.is_file()]
    assert not kept or shape.has_lab, "nothing but tracked data"


def test_a_label_that_stands_for_another_commit_is_refused_with_both(
    s3,
    source: TeamServer,
    environments: Path,
    deployment_dvc: Environment,
    pins: Pins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployment_dvc.has_dvc_on_s3
    shape, ledger = Shape("untagged"), "s3://${RETRAIN_LEDGER_BUCKET}/refused"
    team = Adopted.start(shape, tmp_path, s3, source, None, environments, monkeypatch, [], ledger=ledger)
    first = team.origin.git("rev-parse", "HEAD")
    second = team.origin.commit("Once more", {"docs/README.md": "Nothing of weight.\n"})
    team.origin.push_branch()
    with pytest.raises(LabelTakenError) as caught:
        team.release("--commit", second, "--as", "march")
    assert [part for part in ("march", first, second) if part not in str(caught.value)] == []
    assert pins.found is None
    assert fix_label(services(team.deployment).ledger, shape.name, Release("march", first)).commit == first
    team.release("--commit", first, "--as", "march")
    assert pins.found == Pin(Release("march", first))
