"""Why DVC does not expect a stage to give the same outputs again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retrain.work.dvc.declared import DeclaredOutput, Stage
from retrain.work.dvc.repeatability import why_not_repeatable

OUT = DeclaredOutput("out.txt", "out", True, True, False, None, True, "a" * 32, "md5", 1, False)
STAGE = Stage("fit", "dvc.yaml", ("true",), ".", False, False, True, ("fit.py",), {}, (OUT,))


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        (STAGE, None),
        (replace(STAGE, deps=(), params={"params.yaml": {"depth": 3}}), None),
        (replace(STAGE, outs=(replace(OUT, kind="metric", cached=False),)), None),
        (replace(STAGE, outs=(replace(OUT, pushed=False),)), None),
        (replace(STAGE, always_changed=True), "it is always_changed"),
        (replace(STAGE, deps=()), "it has no dependencies"),
        (replace(STAGE, deps=("a", "s3://b/c")), "its dependency s3://b/c is not a file of the checkout"),
        (replace(STAGE, outs=(OUT, replace(OUT, path="log", persist=True))), "its output log is persist: true"),
        (replace(STAGE, outs=(replace(OUT, cached=False),)), "its output out.txt is cache: false"),
    ],
)
def test_the_reasons_are_those_for_which_dvc_keeps_a_stage_out_of_its_run_cache(stage: Stage, why: str | None) -> None:
    assert why_not_repeatable(stage) == why
