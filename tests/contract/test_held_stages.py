"""Stages that are held while DVC runs all others, in real checkouts."""

from __future__ import annotations

import pytest
import yaml
from foreign_pipeline import Pipeline

from retrain.errors import DvcError
from retrain.work.dvc.held_stages import HeldStages

# `fit` and `other` share one mapping; `old` is frozen by the release itself.
SHARED = """
stages:
  fit:
    foreach: [a]
    do: &both
      cmd: python fit.py ${item}
      deps:
        - fit.py
        - manifest.json
      outs:
        - ${item}.txt
  other:
    foreach: [b]
    do: *both
  old:
    cmd: exit 1
    frozen: true
    deps: [fit.py]
    outs: [old.txt]
"""


@pytest.fixture
def attempt(s3_server, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - S3 has to be up
    pipeline = Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)
    number = "import pathlib, sys, time\npathlib.Path(sys.argv[1][-1] + '.txt').write_text(str(time.time_ns()))\n"

    return pipeline.attempt(files={"dvc.yaml": SHARED, "fit.py": number, "split.py": None, "report.py": None})


def definitions(attempt):
    return yaml.safe_load((attempt.checkout / "dvc.yaml").read_text())["stages"]


def test_only_the_held_stage_is_frozen_and_the_release_s_own_stay_frozen_when_a_stage_changes_the_file(attempt):
    """DVCLive writes metrics and plots into dvc.yaml while a stage runs."""
    file, held = attempt.checkout / "dvc.yaml", HeldStages(attempt.program)
    reproduction = attempt.program.reproduction(attempt.program.describe(), 60)
    reproduction.force(["fit@a"])
    entry = held.hold(["fit@a"], {})["fit@a"]
    before = (attempt.checkout / "a.txt").read_text()
    assert "path: a.txt" in entry
    assert ["frozen" in definitions(attempt)[name]["do"] for name in ("fit", "other")] == [True, False]
    reproduction.run(["fit", "other"])
    assert (attempt.checkout / "a.txt").read_text() == before
    assert (attempt.checkout / "b.txt").exists()
    file.write_text(file.read_text() + "metrics: [live.json]\n")
    held.release(["dvc.yaml"])
    assert "frozen" not in definitions(attempt)["fit"]["do"]
    assert definitions(attempt)["old"]["frozen"] is True
    assert "live.json" in file.read_text()


def test_an_output_that_the_cache_lacks_is_an_error_that_names_it(attempt):
    entry = f"cmd: x\nouts:\n- path: a.txt\n  hash: md5\n  md5: {'a1' * 16}\n  size: 3\n"
    with pytest.raises(DvcError, match=r"cannot be held: a\.txt of stage fit@a cannot be checked out"):
        HeldStages(attempt.program).hold([], {"fit@a": entry})
