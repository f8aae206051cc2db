"""Which paths of a release an input may take, and which files of the release it replaces."""

from __future__ import annotations

from typing import Any

import pytest

from retrain.deployment.sections import Input
from retrain.inputs.errors import InputNamesError, InputPathError
from retrain.inputs.places import ReleaseFacts, cleared, require_kept, require_seen
from retrain.work.dvc.declared import DeclaredOutput, Stage, TrackedFile
from retrain.work.dvc.description import Description

COMMITTED = {
    "dvc.yaml": "100644",
    "dvc.lock": "100644",
    "params.yaml": "100644",
    "src/train.py": "100644",
    "src/table.csv": "100644",
    "data/raw/sample.csv": "100644",
    "data/raw/deep/more.csv": "100644",
    "data/zones.csv": "100644",
    "data/table.csv.dvc": "100644",
    "folder.dvc": "100644",
    "conf/own.yaml": "100644",
    "link": "120000",
    "lib": "160000",
    "vendor/lib": "160000",
    "prep/dvc.yaml": "100644",
}


def out(path: str, md5: str | None = "a" * 32) -> DeclaredOutput:
    return DeclaredOutput(path, "out", True, True, False, None, True, md5, "md5", 1, False)


def stage(name: str, cmd: str, deps: tuple[str, ...], outs: tuple[str, ...], **more: Any) -> Stage:
    values = {"file": "dvc.yaml", "wdir": ".", "frozen": False, "always_changed": False, "reached": True, "params": {}}
    return Stage(name=name, cmd=(cmd,), deps=deps, outs=tuple(map(out, outs)), **{**values, **more})


def tracked(file: str, *outs: DeclaredOutput) -> TrackedFile:
    return TrackedFile(file, frozen=False, imported=False, deps=(), outs=outs)


STAGES = (
    stage(
        "train", "python src/train.py", ("src/train.py", "data/raw"), ("models/m.pkl",), params={"conf/own.yaml": {}}
    ),
    stage("prep/dvc.yaml:clean", "sh clean.sh", (), ("prep/clean",), file="prep/dvc.yaml", wdir="prep", reached=False),
)
TRACKED = (
    tracked("data/table.csv.dvc", out("data/table.csv")),
    tracked("folder.dvc", out("data/images", "b" * 32 + ".dir")),
)


def facts(committed: dict[str, str] = COMMITTED, files: tuple[TrackedFile, ...] = TRACKED) -> ReleaseFacts:
    described = Description(STAGES, {}, (), (), files, (), {})
    return ReleaseFacts(described, committed, frozenset({"params.yaml"}))


def entry(path: str, names: str = "keep") -> Input:
    return Input.model_validate({"path": path, "names": names, "days": "partition"})


def replaced(path: str, names: str = "keep") -> tuple[str, ...]:
    return cleared([entry(path, names)], facts())[0].replaced


def refusal(*entries: Input, of: ReleaseFacts | None = None) -> str:
    with pytest.raises(InputPathError) as caught:
        cleared(entries, of or facts())
    return str(caught.value)


def test_a_sample_in_git_is_replaced_whole() -> None:
    assert replaced("data/raw") == ("data/raw/deep/more.csv", "data/raw/sample.csv")
    assert replaced("data/zones.csv", "file") == ("data/zones.csv",)


def test_a_path_where_nothing_stands_replaces_nothing() -> None:
    assert replaced("data/new") == ()


def test_the_dvc_file_of_a_sample_is_replaced_wherever_it_is() -> None:
    assert replaced("data/table.csv", "file") == ("data/table.csv.dvc",)
    assert replaced("data/images") == ("folder.dvc",)


def test_the_dvc_files_of_data_below_the_path_are_replaced() -> None:
    assert set(replaced("data")) == {file for file in COMMITTED if file.startswith("data/")} | {"folder.dvc"}


@pytest.mark.parametrize(
    ("path", "reason", "fix"),
    [
        (".", "the checkout itself", "Name a path in the checkout"),
        ("./.", "the checkout itself", "Name a path in the checkout"),
        (".git/hooks", ".git belongs to Git", "Name another path"),
        (".dvc/cache", ".dvc belongs to DVC", "Name another path"),
        ("sub/.git/hooks", ".git belongs to Git", "Name another path"),
        (".dvcignore", ".dvcignore is a name of DVC's own files", "only data"),
        ("new/raw.csv.dvc", "raw.csv.dvc is a name of DVC's own files", "only data"),
        ("new/dvc.yaml/raw", "dvc.yaml is a name of DVC's own files", "only data"),
        ("link/raw", "link is a symbolic link", "Name the path that it leads to"),
        ("lib", "lib is a submodule", "outside of it"),
        ("lib/data", "lib is a submodule", "outside of it"),
        ("vendor", "vendor/lib is a submodule", "outside of it"),
        ("params.yaml/raw", "params.yaml is a file of the release", "Name another path"),
        ("models", "stage train writes models/m.pkl", "no stage writes"),
        ("models/m.pkl", "stage train writes models/m.pkl", "no stage writes"),
        ("models/m.pkl/raw", "stage train writes models/m.pkl", "no stage writes"),
        ("prep/clean/raw", "stage prep/dvc.yaml:clean writes prep/clean", "no stage writes"),
        ("prep", "prep/dvc.yaml is a file of DVC's", "only data"),
        ("dvc.lock", "dvc.lock is a name of DVC's own files", "only data"),
        ("data/table.csv.dvc", "table.csv.dvc is a name of DVC's own files", "only data"),
        ("conf", "stage train reads params from conf/own.yaml", "only data"),
        ("params.yaml", "`params` sets params.yaml", "only data"),
        ("run.yaml", "the run writes run.yaml itself", "Name another path"),
        ("src", "stage train runs src/train.py", "only data"),
        ("data/images/today", "folder.dvc tracks data/images as a whole", "Write `path: data/images`"),
        ("data/zones.csv", "it is a file in the release, and names: keep makes a folder", "Write `names: file`"),
        ("data/table.csv", "it is a file in the release, and names: keep makes a folder", "Write `names: file`"),
    ],
)
def test_a_path_that_an_input_may_not_take_is_refused_with_reason_and_way_out(path: str, reason: str, fix: str) -> None:
    said = refusal(entry(path))
    assert said.startswith(f"The input {path.removeprefix('./')} cannot be laid: ")
    assert reason in said
    assert fix in said


@pytest.mark.parametrize("path", ["data/raw", "data/images"])
def test_one_file_in_place_of_a_folder_is_refused(path: str) -> None:
    assert "it is a folder in the release, and names: file makes a file of it" in refusal(entry(path, "file"))


def test_a_symbolic_link_at_the_path_itself_is_replaced() -> None:
    assert replaced("link") == ("link",)


def test_two_inputs_over_each_other_are_refused() -> None:
    assert "the input data/raw is laid there too" in refusal(entry("data/raw"), entry("data/raw/deep"))
    assert "the input data/raw is laid there too" in refusal(entry("data/raw"), entry("./data/raw/"))
    assert [each.path for each in cleared([entry("data/raw"), entry("data/raw2")], facts())] == [
        "data/raw",
        "data/raw2",
    ]


def test_a_dvc_file_that_also_tracks_other_data_is_not_taken_away() -> None:
    several = (tracked("two.dvc", out("data/raw"), out("elsewhere")),)
    assert "two.dvc, which would go, also tracks elsewhere" in refusal(entry("data/raw"), of=facts(files=several))
    inside = (tracked("data/raw/x.dvc", out("elsewhere")),)
    assert "data/raw/x.dvc, which would go, also tracks elsewhere" in refusal(entry("data/raw"), of=facts(files=inside))


def needing(*deps: str, **more: Any) -> ReleaseFacts:
    described = Description((stage("use", "python use.py", deps, (), **more),), {}, (), (), TRACKED, (), {})
    return ReleaseFacts(described, COMMITTED)


def test_a_file_that_a_stage_needs_and_no_object_replaces_is_not_taken_away() -> None:
    known = needing("data/raw/sample.csv")
    (place,) = cleared([entry("data/raw")], known)
    with pytest.raises(
        InputPathError, match=r"stage use needs data/raw/sample\.csv, which the release has there and no"
    ):
        require_kept(place, {"data/raw/other.csv"}, known)
    require_kept(place, {"data/raw/sample.csv"}, known)


def test_a_stage_may_need_the_input_s_folder_or_a_folder_in_it_that_objects_fill() -> None:
    for needed in ("data/raw", "data/raw/deep", "data", "data/raw2", "data/raw/deep/a.csv"):
        known = needing(needed)
        require_kept(cleared([entry("data/raw")], known)[0], {"data/raw/deep/a.csv"}, known)


def test_data_of_a_dvc_file_that_a_stage_needs_and_no_object_replaces_is_not_taken_away() -> None:
    known = needing("data/table.csv")
    (place,) = cleared([entry("data")], known)
    with pytest.raises(InputPathError, match=r"stage use needs data/table\.csv, which the release has there and no"):
        require_kept(place, {"data/raw.csv"}, known)


def test_a_file_that_a_stage_needs_and_neither_release_nor_day_has_is_named_before_the_stage_fails() -> None:
    known = needing("data/raw/eu.csv", "data/raw/us.csv")
    (place,) = cleared([entry("data/raw")], known)
    with pytest.raises(
        InputNamesError,
        match=r"Stage use needs data/raw/us\.csv, .* lays no object there: it lays data/raw/eu\.csv\. Land",
    ):
        require_kept(place, {"data/raw/eu.csv"}, known)


@pytest.mark.parametrize("more", [{"frozen": True}, {"reached": False}])
def test_a_stage_that_is_not_run_needs_nothing(more: dict[str, bool]) -> None:
    known = needing("data/raw/us.csv", **more)
    require_kept(cleared([entry("data/raw")], known)[0], {"data/raw/eu.csv"}, known)


def test_a_file_that_a_dvcignore_hides_is_refused_unless_a_stage_depends_on_the_file_itself() -> None:
    (place,) = cleared([entry("data/raw")], needing("data/raw"))
    with pytest.raises(InputPathError, match=r"hides data/raw/a\.csv, so DVC would not run a stage again"):
        require_seen(place, ["data/raw/a.csv"], needing("data/raw"))
    require_seen(place, ["data/raw/a.csv"], needing("data/raw/a.csv"))
    require_seen(place, [], needing("data/raw"))
