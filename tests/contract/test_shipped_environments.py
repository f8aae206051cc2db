"""The environments of the worker's image, made as its Dockerfile makes them, without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from live_servers import ROOT
from package_index import package_index

from retrain.work.environments import environment, uv

PYPROJECT = """
[project]
name = "{name}"
version = "1"
requires-python = ">=3.11"
dependencies = ["demo"]
[tool.uv]
package = false
"""


@pytest.fixture
def stage():
    """The instructions of the Dockerfile that make the environments."""
    text = (ROOT / "infra" / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    return re.search(r"^FROM \S+ AS shipped-environments\n(.*?)^FROM", text, re.MULTILINE | re.DOTALL)[1]


def test_what_the_image_ships_is_what_a_worker_looks_for(stage, tmp_path, monkeypatch):
    build, opt, release = tmp_path / "build", tmp_path / "opt", tmp_path / "workspaces" / "checkout"
    copies = re.findall(r"^COPY (plugins/\S+(?: plugins/\S+)*) (retrain/\S*)$", stage, re.MULTILINE)
    for sources, target in copies:
        for source in map(ROOT.joinpath, sources.split()):
            if source.is_dir():
                shutil.copytree(source, build / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (build / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, build / target)
    folders = {"/build/pipeline": build / "pipeline", "/opt/retrain/infra/dvc": opt / "retrain" / "infra" / "dvc"}
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index") as index:
        index.add("demo", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        # The checkout's own pyproject.toml is above the release's project in both places.
        for top in (build, release):
            top.mkdir(parents=True, exist_ok=True)
            (top / "pyproject.toml").write_text(PYPROJECT.format(name="deployment"))
        for place in folders.values():
            place.mkdir(parents=True)
            (place / "pyproject.toml").write_text(PYPROJECT.format(name=place.name))
            subprocess.run([uv.program(), "lock", "-q", "-p", sys.executable], cwd=place, check=True)
        code = re.search(r'python -c "(.*?)"', stage)[1].replace("/opt/environments", str(opt / "environments"))
        for inside, place in folders.items():
            assert f"'{inside}'" in code
            code = code.replace(inside, str(place))
        subprocess.run([sys.executable, "-c", code], cwd=build, check=True, timeout=60)
    shutil.copytree(folders["/build/pipeline"], release / "pipeline")
    monkeypatch.setenv("RETRAIN_ENVIRONMENTS", str(opt / "environments"))
    monkeypatch.setenv("RETRAIN_UV", str(tmp_path / "no-uv"))
    for project in (release / "pipeline", folders["/opt/retrain/infra/dvc"]):
        built = environment.provide(project, tmp_path / "home")
        assert built.path.parent == opt / "environments"
    assert not (tmp_path / "home").exists()
