"""The sentences for tracked data that cannot be fetched."""

from __future__ import annotations

import re
import tomllib

import pytest

from retrain.errors import FinalError, RetrainError
from retrain.inputs import errors, tracked_refusals
from retrain.work.dvc.program import DEPLOYMENT_DVC
from retrain.work.dvc.tracked_inputs import TrackedInput
from retrain.work.dvc.tracked_programs import FetchRefusal

WANTED = TrackedInput("data/raw.csv.dvc", "data/raw.csv.dvc", "data/raw.csv", "1" * 32, "md5", "train")
FOUND = FetchRefusal("", "the detail", "data/raw.csv", "data/raw.csv.dvc", "theirs", "s3://bucket/dvc", "their_aws")


def refused(why: str) -> RetrainError:
    return tracked_refusals.refusal(FetchRefusal(**{**vars(FOUND), "why": why}), WANTED, "v1.0.0")


def kinds_of_the_program() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in (DEPLOYMENT_DVC / "tracked").glob("*.py")]
    raised = {kind for text in texts for kind in re.findall(r'Refused\(\s*"(\w+)"', text)}
    named = {kind for text in texts for kind in re.findall(r'^    "(\w+)": \{', text, re.MULTILINE)}
    return raised | named | {kind for text in texts for kind in re.findall(r'return "(\w+)"', text)}


def test_every_kind_of_failure_has_a_class_and_a_sentence_of_its_own() -> None:
    kinds = kinds_of_the_program()
    assert {"denied", "absent", "damaged", "scheme", "local_remote", "import_gone", "revision_gone"} <= kinds
    plain = [kind for kind in kinds - {"other"} if isinstance(refused(kind), errors.TrackedFetchError)]
    assert plain == []


@pytest.mark.parametrize("kind", sorted(kinds_of_the_program()))
def test_a_sentence_names_release_data_file_and_stage(kind: str) -> None:
    text = str(refused(kind))
    assert text.startswith("v1.0.0 tracks data/raw.csv with data/raw.csv.dvc, and stage train needs it. ")
    assert text.endswith(".")


@pytest.mark.parametrize("kind", ["unreachable", "damaged", "other"])
def test_a_failure_that_may_pass_is_tried_again(kind: str) -> None:
    assert not isinstance(refused(kind), FinalError)


@pytest.mark.parametrize("kind", ["denied", "absent", "no_remote", "scheme", "import_changed", "revision_gone"])
def test_a_failure_that_a_person_has_to_fix_is_final(kind: str) -> None:
    assert isinstance(refused(kind), FinalError)


@pytest.mark.parametrize("connection", ["aws_default", ""])
def test_a_refused_remote_is_told_how_to_get_a_connection_of_its_own(connection: str) -> None:
    found = FetchRefusal(**{**vars(FOUND), "why": "denied", "connection": connection})
    text = str(tracked_refusals.refusal(found, WANTED, "v1.0.0"))
    assert "`remotes: {theirs: {connection: ID}}`" in text
    assert connection in text


def test_the_extra_that_a_sentence_names_is_one_that_the_deployment_s_dvc_offers() -> None:
    project = tomllib.loads((DEPLOYMENT_DVC / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = set(project["optional-dependencies"])
    for scheme in ("gs", "azure", "ssh", "gdrive", "oss", "webdav", "webdavs", "hdfs", "webhdfs"):
        address = FetchRefusal("scheme", "x", remote="theirs", address=f"{scheme}://host/x")
        named = re.search(r"RETRAIN_DVC_EXTRAS=(\w+)", str(tracked_refusals.refusal(address, WANTED, "v1.0.0")))
        assert named
        assert named[1] in offered
