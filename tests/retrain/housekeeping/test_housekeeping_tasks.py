"""What each task of the housekeeping removes from real folders, and what it leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.errors import DvcLockError, HousekeepingError, StoreError
from retrain.housekeeping import (
    dvc_objects,
    environments,
    lock_files,
    put_aside,
    raw_caches,
    retired_pipelines,
    run_caches,
    task_logs,
    workspaces,
)
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace, in_words
from retrain.housekeeping.housekeeping_run import HousekeepingRun, begin
from retrain.housekeeping.stored_files import StoredFile, files_below, remove, remove_empty_folders
from retrain.results import Reproduced
from retrain.run.manifest import Manifest, RawObject
from retrain.tasks.reproduced_workspace import workspace_of
from retrain.work import pipeline_caches, workspace
from retrain.work.environments import uv
from retrain.work.file_lock import locked
from retrain.work.workspace import Workspace

NOW = datetime(2026, 3, 31, 3, 30, tzinfo=UTC)
LIMITS = HousekeepingLimits(schema_version=1, owner="ml-platform")
MD5 = {name: f"{number:032x}" for number, name in enumerate(("old", "kept", "part", "alone"), 1)}


def days_ago(days: float) -> float:
    return (NOW - timedelta(days=days)).timestamp()


def write(path: Path, text: str = "12345", days: float = 0) -> Path:
    """A file whose last change was some days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (days_ago(days), days_ago(days)))
    return path


def age_folders(top: Path, days: float) -> None:
    for below, _, _ in os.walk(top):
        os.utime(below, (days_ago(days), days_ago(days)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RETRAIN_ALERTS", raising=False)
    return tmp_path / "home"


def run(*, dry_run: bool = False, limits: HousekeepingLimits = LIMITS, **services: object) -> HousekeepingRun:
    return HousekeepingRun(limits, dry_run, NOW, services)  # type: ignore[arg-type]


# --- what stays in the caches ------------------------------------------------------------------------------------------------


def test_an_object_goes_only_if_nothing_needs_it_and_it_is_not_young() -> None:
    folder = Path("cache/files/md5")

    def stored(md5: str, written: float) -> StoredFile:
        return StoredFile(folder / md5[:2] / md5[2:], 5, written)

    files = [
        stored(MD5["old"], 1),
        stored(MD5["kept"] + ".dir", 1),
        stored(MD5["part"], 1),
        stored(MD5["alone"], 9),
        StoredFile(folder / "00" / "x.tmp", 5, 1),
        StoredFile(folder / "00" / f"{MD5['old'][2:]}.corrupt-1", 5, 1),
    ]
    needed = dvc_objects.with_members([MD5["kept"] + ".dir"], lambda _: {MD5["part"]})
    gone = dvc_objects.removable(files, folder, needed, young=5)
    assert [file.path.name for file in gone] == [MD5["old"][2:], "x.tmp"]


def test_a_directory_whose_listing_is_missing_or_broken_has_no_files_that_dvc_could_find(tmp_path: Path) -> None:
    md5 = MD5["kept"] + ".dir"
    assert dvc_objects.members(tmp_path, md5) == frozenset()
    listing = write(tmp_path / "files" / "md5" / md5[:2] / md5[2:], '[{"md5": "' + MD5["part"] + '", "relpath": "a"}]')
    assert dvc_objects.members(tmp_path, md5) == {MD5["part"]}
    listing.write_text("[{")
    assert dvc_objects.members(tmp_path, md5) == frozenset()


@pytest.mark.parametrize(
    ("outputs", "usable"),
    [
        pytest.param(frozenset({"a", "b"}), True, id="all stay"),
        pytest.param(frozenset({"a", "gone"}), False, id="one goes"),
        pytest.param(None, False, id="broken entry"),
    ],
)
def test_an_entry_of_a_run_cache_is_usable_while_all_its_outputs_stay(
    outputs: frozenset[str] | None, *, usable: bool
) -> None:
    assert run_caches.is_usable(outputs, {"a", "b", "c"}) is usable


def test_the_last_entry_of_a_stage_s_inputs_takes_its_folder_along_because_dvc_fails_over_an_empty_one(
    tmp_path: Path,
) -> None:
    one, two, single = (write(tmp_path / "runs" / name) for name in ("ab/key/one", "ab/key/two", "cd/key/single"))
    files = list(files_below(tmp_path))
    run_caches._remove([file for file in files if file.path in (one, single)], files)
    assert (one.exists(), two.exists(), single.parent.exists()) == (False, True, False)


def test_a_folder_that_a_killed_dvc_left_empty_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "environments" / "e" / "runs" / "ab" / "key"
    left.mkdir(parents=True)
    entry = write(left.with_name("other") / "entry")
    run_caches._remove_empty(tmp_path)
    assert (left.exists(), entry.exists()) == (False, True)


def test_raw_files_stay_by_etag_and_size_and_files_named_otherwise_by_their_age() -> None:
    manifest = Manifest("taxi", "2026-03-30", "s3://raw", (RawObject("dt=2026-03-30/a", MD5["kept"], 7, None),))
    named, other = Path(f"{MD5['kept']}-7"), Path(f"{MD5['old']}-7")
    parts, foreign = Path(f"{MD5['old']}-3-900"), Path("2026-03-30.csv")
    files = [StoredFile(path, 1, 5) for path in (named, other, parts, foreign)]
    needed = raw_caches.names([manifest])
    assert [f.path for f in raw_caches.removable(files, needed, young=9, unnamed=4)] == [other, parts]
    assert [f.path for f in raw_caches.removable(files, needed, young=5, unnamed=9)] == [foreign]


def test_our_digest_of_a_raw_object_stays_as_long_as_the_object_and_a_half_written_one_goes_soon() -> None:
    manifest = Manifest("taxi", "2026-03-30", "s3://raw", (RawObject("dt=2026-03-30/a", f"{MD5['kept']}-2", 7, None),))
    kept, old = f"{MD5['kept']}-2-7", f"{MD5['old']}-2-7"
    names = (kept, f"{kept}.sha256", old, f"{old}.sha256", ".writing-0a1b")
    needed = raw_caches.names([manifest])
    gone = raw_caches.removable([StoredFile(Path(name), 1, 5) for name in names], needed, young=9, unnamed=4)
    assert [file.path.name for file in gone] == [old, f"{old}.sha256", ".writing-0a1b"]


def test_an_object_whose_etag_is_no_file_name_has_one_made_of_it() -> None:
    etags = ("../../etc/x", 'W/"weak"', "e" * 300)
    objects = tuple(RawObject(f"dt=2026-03-30/{etag}", etag, 7, None) for etag in etags)
    names = raw_caches.names([Manifest("taxi", "2026-03-30", "s3://raw", objects)])
    assert len(names) == 3
    assert all("/" not in name and len(name) < 100 for name in names)
    files = [StoredFile(Path(name), 1, 5) for name in names]
    assert raw_caches.removable(files, names, young=9, unnamed=9) == []


# --- one pipeline after another ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [StoreError("S3 did not answer. Check it."), KeyError("S3 did not answer. Check it.")]
)
def test_the_failure_of_a_pipeline_keeps_no_other_from_being_cleaned_and_is_named(
    error: Exception,
) -> None:
    cleaned = []

    def clean(known: SimpleNamespace) -> CleanedPlace:
        if known.pipeline == "b":
            raise error
        cleaned.append(known.pipeline)
        return CleanedPlace(known.pipeline, Amount(1, 5), Amount())

    three = {name: SimpleNamespace(pipeline=name) for name in ("a", "b", "c")}
    with pytest.raises(
        HousekeepingError, match=r"1 of 3 pipelines .* b: '?S3 did not answer\. Check it\.'?.* 10 B in 2 files"
    ):
        run(**three).each_pipeline(clean)  # type: ignore[arg-type]
    assert cleaned == ["a", "c"]


def test_a_pipeline_whose_file_is_broken_is_left_to_its_own_dag(tmp_path: Path) -> None:
    (tmp_path / "taxi.yaml").write_text("schema_version: 1")
    made = begin(LIMITS, {"dry_run": True, "keep_days": 3}, tmp_path)
    assert (made.dry_run, made.limits.keep_days, list(made.broken)) == (True, 3, ["taxi"])
    (place,) = made.each_pipeline(lambda _: pytest.fail("cleaned")).places
    assert place.note.startswith("not cleaned: taxi.yaml")


def test_a_folder_without_a_pipeline_s_file_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(HousekeepingError, match="Correct RETRAIN_PIPELINES"):
        begin(LIMITS, {}, tmp_path)


# --- folders of the volume ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [True, False])
def test_abandoned_workspaces_of_all_pipelines_go(home: Path, *, dry_run: bool) -> None:
    old, new = (workspace.of_run(pipeline, "run") for pipeline in ("gone", "taxi"))
    foreign = home / "workspaces" / "taxi" / "notes"
    for folder in (old, new, foreign):
        write(folder / "attempt" / "checkout" / "dvc.yaml")
    age_folders(old, 8)
    age_folders(foreign, 800)
    age_folders(new, 6)
    cleaned = workspaces.clean(run(dry_run=dry_run))
    assert (cleaned.freed, cleaned.stays) == (Amount(1, 5), Amount(2, 10))
    assert (old.exists(), new.exists(), foreign.exists()) == (dry_run, True, True)


def test_a_folder_that_a_killed_rebuild_left_goes_once_nothing_was_written_in_it_for_long(home: Path) -> None:
    old, new, foreign = (home / name for name in ("rebuild-abcd_123", "rebuild-efgh4567", "rebuild-notes"))
    for folder, days in ((old, 8), (new, 6), (foreign, 800)):
        write(folder / "model", days=days)
        age_folders(folder, 800)
    assert workspaces.clean(run(dry_run=True)).freed == Amount(1, 5)
    workspaces.clean(run())
    assert [folder.exists() for folder in (old, new, foreign)] == [False, True, True]


def test_an_old_workspace_stays_once_a_task_of_its_run_was_cleared(home: Path) -> None:
    folder = workspace.of_run("taxi", "run")
    write(folder / "attempt" / "checkout" / "dvc.lock")
    age_folders(home, 8)
    workspace_of(Reproduced(str(folder / "attempt"), "", 1, (), 0.0))
    assert workspaces.clean(run()).freed == Amount()
    assert folder.exists()


def test_a_workspace_is_looked_at_again_right_before_it_is_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workspace.of_run("taxi", "run")
    lock = write(folder / "attempt" / "checkout" / "dvc.lock")
    age_folders(home, 8)

    def cleared_meanwhile(below: Path) -> Iterator[StoredFile]:
        workspace.note_use(Workspace(folder / "attempt"))
        return files_below(below)

    monkeypatch.setattr(workspaces, "files_below", cleared_meanwhile)
    monkeypatch.setattr(workspace, "abandoned", lambda *_: [folder])
    workspaces.clean(run())
    assert lock.exists()


def test_a_workspace_that_cannot_be_removed_keeps_no_other_from_being_removed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted(workspace.of_run("taxi", name) for name in ("one", "two"))
    for folder in (first, second):
        write(folder / "attempt" / "checkout" / "dvc.lock")
    age_folders(home, 8)
    remove = workspace.remove_folder

    def refused(folder: Path) -> bool:
        if folder == first:
            raise PermissionError(13, "Permission denied", str(folder))
        return remove(folder)

    monkeypatch.setattr(workspace, "remove_folder", refused)
    with pytest.raises(HousekeepingError, match=r"1 of the abandoned runs could not be removed.*Permission denied"):
        workspaces.clean(run())
    assert (first.exists(), second.exists()) == (True, False)


def test_a_file_that_cannot_be_removed_keeps_no_other_from_being_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (write(tmp_path / name) for name in ("a", "b"))
    unlink = Path.unlink

    def refused(path: Path, *, missing_ok: bool = False) -> None:
        if path == first:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    files = sorted(files_below(tmp_path), key=lambda file: file.path)
    with pytest.raises(HousekeepingError, match=r"1 files .*Permission denied.* 5 B in 1 file"):
        remove(files, dry_run=False)
    assert (first.exists(), second.exists()) == (True, False)


def test_what_a_workspace_needs_is_unknown_while_a_folder_of_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub = write(tmp_path / "attempt" / "checkout" / "sub" / "dvc.lock").parent
    scandir = os.scandir

    def refused(path: str) -> Any:
        if Path(path) == sub:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        workspaces.objects([Workspace(tmp_path / "attempt")])


def test_a_workspace_needs_what_every_dvc_lock_in_it_names(tmp_path: Path) -> None:
    for name, md5 in (("dvc.lock", MD5["kept"]), ("sub/dvc.lock", MD5["part"] + ".dir")):
        lock = {"stages": {"fit": {"cmd": "x", "outs": [{"path": "a", "md5": md5}]}}}
        write(tmp_path / "attempt" / "checkout" / name, yaml.safe_dump(lock))
    write(tmp_path / "attempt" / "environment.txt", "# python 3.11\n")
    place = Workspace(tmp_path / "attempt")
    assert workspaces.objects([place]) == {MD5["kept"], MD5["part"] + ".dir"}
    assert len(workspaces.environments([place, Workspace(tmp_path / "removed meanwhile")])) == 1


def test_a_lock_of_a_workspace_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    lock = write(tmp_path / "attempt" / "checkout" / "dvc.lock", "stages: {a: [")
    with pytest.raises(DvcLockError, match=f"{lock}.*remove the workspace"):
        workspaces.objects([Workspace(tmp_path / "attempt")])


def test_an_environment_goes_if_nothing_needs_it_and_nothing_used_it_lately() -> None:
    used = {"needed": 1.0, "recent": 9.0, "old": 1.0}
    assert environments.unused(used, {"needed"}, before=5) == {"old"}


def test_old_resolutions_go_with_those_that_were_half_written_and_lock_files_have_a_limit_of_their_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uv, "is_there", lambda: False)
    old, draft, lock, used = (
        write(home / "environments" / "resolved" / name, days=days)
        for name, days in (("a.txt", 31), (".a.txt.0123abcd", 31), ("a.lock", 31), ("b.txt", 29))
    )
    environments.clean(run())
    assert [path.exists() for path in (old, draft, lock, used)] == [False, False, True, True]


def test_corrupt_objects_age_from_the_moment_they_were_put_aside(home: Path) -> None:
    cache = home / "cache" / "taxi" / "files" / "md5" / "ab"
    lately = write(cache / f"cd.corrupt-{int(days_ago(29)) * 10**9}", days=400)
    long_ago = write(cache / f"ef.corrupt-{int(days_ago(31)) * 10**9}")
    garbage, broken, signal = (
        write(home / "alerts" / name, days=91)
        for name in ("outbox/garbage/a", "incidents/open/b.broken", "outbox/new/c.json")
    )
    cleaned = put_aside.clean(run())
    assert [place.freed.files for place in cleaned.places] == [1, 2]
    there = [path.exists() for path in (lately, long_ago, garbage, broken, signal)]
    assert there == [True, False, False, False, True]


def test_lock_files_that_nobody_locked_for_long_go_unless_they_are_locked(home: Path) -> None:
    old, held, new = (write(home / "locks" / name, "", days=days) for name, days in (("a", 8), ("b", 8), ("c", 6)))
    others = [
        write(home / name, "", days=8)
        for name in ("git/taxi.lock", "environments/ab.lock", "environments/resolved/c.lock")
    ]
    watch = write(home / "alerts" / "watch.lock", "", days=800)
    with locked(held):
        os.utime(held, (days_ago(8), days_ago(8)))
        lock_files.clean(run())
    assert [path.exists() for path in (old, held, new, watch, *others)] == [
        False,
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_folders_of_a_pipeline_without_a_file_go_once_nothing_was_written_for_long(home: Path) -> None:
    for name, days in (("gone", 31), ("lately", 29), ("busy", 31), ("taxi", 31)):
        write(home / "cache" / name / "files" / "md5" / "ab" / "cd", days=days)
    write(home / "workspaces" / "busy" / "run" / "attempt" / "dvc.yaml")
    indexes = [
        write(home / "index" / f"{name}-{'0' * 16}.sqlite", days=31) for name in ("gone", "gone_too", "lately", "taxi")
    ]
    photos = [write(home / folder / "photos" / "a.jpg", days=800) for folder in ("cache", "raw", "git")]
    cleaned = retired_pipelines.clean(run(taxi=SimpleNamespace()))
    assert sorted(path.name for path in (home / "cache").iterdir()) == ["busy", "lately", "photos", "taxi"]
    assert {place.name: place.freed.files for place in cleaned.places} == {"gone": 2, "lately": 0}
    assert [index.exists() for index in indexes] == [False, True, True, True]
    assert all(photo.exists() for photo in photos)


def test_folders_of_a_pipeline_without_a_file_stay_while_a_run_of_it_is_reproduced(home: Path) -> None:
    kept = write(home / "cache" / "gone" / "files" / "md5" / "ab" / "cd", days=31)
    with pipeline_caches.in_use("gone"):
        retired_pipelines.clean(run())
    assert kept.exists()
    retired_pipelines.clean(run())
    assert not kept.exists()


def test_no_environment_goes_while_the_file_of_a_pipeline_cannot_be_read(home: Path) -> None:
    kept = write(home / "environments" / ("0" * 32) / ".complete", days=400)
    age_folders(home, 400)
    (place,) = environments.clean(
        HousekeepingRun(LIMITS, dry_run=False, now=NOW, services={}, broken={"b": "x"})
    ).places
    assert kept.exists()
    assert place.note.startswith("it is not known what b needs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uv, "is_there", lambda: False)
        environments.clean(run())
    assert not kept.exists()


def test_old_logs_go_with_their_folders_and_links_are_never_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, outside = tmp_path / "logs", write(tmp_path / "outside" / "kept.log", days=400)
    old = write(logs / "dag_id=taxi" / "run_id=1" / "attempt=1.log", days=91)
    new = write(logs / "dag_id=taxi" / "run_id=2" / "attempt=1.log", days=89)
    (logs / "latest").symlink_to(outside.parent)
    (logs / "one.log").symlink_to(outside)
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    task_logs.clean(run(), [logs])
    assert (old.exists(), new.exists(), outside.exists(), (logs / "latest").is_symlink()) == (False, True, True, True)
    assert (logs / "one.log").is_symlink()
    assert old.parent.exists()  # a folder may be new, and about to get its first file
    age_folders(old.parent, 2)
    remove_empty_folders(logs, NOW.timestamp())
    assert (old.parent.exists(), new.parent.exists()) == (False, True)


@pytest.mark.parametrize("folder", ["..", ".", "airflow", "link"])
def test_no_log_is_removed_from_a_folder_that_holds_more_than_logs(
    home: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(home / "airflow" / "own"))
    old = write(home / "cache" / "old", days=400)
    (home / "link").symlink_to(home)
    logs = home / "logs"
    with pytest.raises(HousekeepingError, match=r"which also holds .* Set base_log_folder"):
        task_logs.clean(run(), [logs, home / folder])
    assert old.exists()
    task_logs.clean(run(), [logs])


def test_the_root_of_the_file_system_is_no_folder_of_logs(tmp_path: Path) -> None:
    with pytest.raises(HousekeepingError, match="Airflow logs to /, which also holds"):
        task_logs.require_only_logs([Path("/")], [tmp_path])


# --- results -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5 * 10**15, "5000.0 TB")]
)
def test_a_size_is_given_in_the_largest_unit_that_it_fills(size: int, words: str) -> None:
    assert in_words(size) == words


def test_a_result_names_what_it_freed_and_each_place_that_it_could_not_clean() -> None:
    result = Cleaned(
        dry_run=True,
        places=(CleanedPlace("a", Amount(1, 10), Amount(2, 20)), CleanedPlace("b", Amount(), Amount(1, 5), "busy")),
    )
    assert result.line().startswith("10 B in 1 file would be freed, 25 B in 3 files stay. a: 10 B of 30 B")
    assert "; b: 0 B of 5 B (busy)." in result.line()
    document = result.to_json()
    assert (document["dry_run"], document["freed"], document["stays"]) == (
        True,
        {"files": 1, "bytes": 10},
        {"files": 3, "bytes": 25},
    )
