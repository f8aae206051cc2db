import configparser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrain.errors import DvcError
from retrain.work.dvc.program import Dvc
from retrain.work.environments.environment import Environment


def program(tmp_path: Path, workspace: str = "w", identity: str = "a" * 64) -> Dvc:
    release = Environment(tmp_path / "release", identity, tmp_path / "uv.lock")
    deployment = Environment(tmp_path / "deployment", "b" * 64, tmp_path / "uv.lock")
    checkout = tmp_path / workspace / "checkout"
    checkout.mkdir(parents=True)
    return Dvc.of(checkout, release, deployment, tmp_path / "cache", {})


def cache_dir(dvc: Dvc) -> Path:
    config = configparser.ConfigParser(interpolation=None)
    config.read(dvc.checkout / ".dvc" / "config.local")
    return Path(config["cache"]["dir"])


def test_each_environment_has_a_cache_folder_of_its_own_and_all_share_the_objects(tmp_path: Path) -> None:
    one, other = program(tmp_path, "1"), program(tmp_path, "2", "c" * 64)
    for each in (one, other):
        each.configure("s3://b/dvc", None)
    assert cache_dir(one) != cache_dir(other)
    (cache_dir(one) / "files" / "object").touch()
    assert (cache_dir(other) / "files" / "object").samefile(tmp_path / "cache" / "files" / "object")


def test_the_shared_objects_are_found_when_the_volume_is_mounted_elsewhere(tmp_path: Path) -> None:
    dvc = program(tmp_path)
    dvc.configure("s3://b/dvc", None)
    moved = (tmp_path / "cache").rename(tmp_path / "elsewhere")
    (moved / "files" / "object").touch()
    assert (moved / cache_dir(dvc).relative_to(tmp_path / "cache") / "files" / "object").exists()


def test_workspaces_that_are_made_at_once_find_one_cache(tmp_path: Path) -> None:
    programs = [program(tmp_path, str(n)) for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda dvc: dvc.configure("s3://b/dvc", None), programs))
    assert len({cache_dir(dvc) for dvc in programs}) == 1
    assert (cache_dir(programs[0]) / "files").samefile(tmp_path / "cache" / "files")


def test_a_cache_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    dvc = program(tmp_path)
    (tmp_path / "cache" / "environments" / ("a" * 32) / "files").mkdir(parents=True)
    with pytest.raises(DvcError, match=r"environments/a{32}/files is not the link to .*cache/files"):
        dvc.configure("s3://b/dvc", None)


def test_a_release_that_brings_dvc_3_with_s3_runs_its_own_and_any_other_the_deployment_s(tmp_path: Path) -> None:
    assert program(tmp_path, "1").program == tmp_path / "deployment" / "bin" / "dvc"
    packages = tmp_path / "release" / "lib" / "python3.11" / "site-packages"
    (packages / "dvc_s3").mkdir(parents=True)
    (packages / "dvc-2.46.0.dist-info").mkdir()
    (tmp_path / "release" / "bin").mkdir()
    (tmp_path / "release" / "bin" / "dvc").touch()
    assert program(tmp_path, "dvc-2").program == tmp_path / "deployment" / "bin" / "dvc"
    (packages / "dvc-2.46.0.dist-info").rename(packages / "dvc-3.67.1.dist-info")
    own = program(tmp_path, "2")
    assert own.program == tmp_path / "release" / "bin" / "dvc"
    assert own.python == tmp_path / "deployment" / "bin" / "python"
