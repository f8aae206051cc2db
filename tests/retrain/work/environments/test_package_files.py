"""Which files decide what uv resolves: each of them changes the digest, and nothing else does."""

from __future__ import annotations

import pytest

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import package_files

BARE = '[project]\nname = "release"\nversion = "1"\n'
SETUPTOOLS = (
    BARE + 'dynamic = ["dependencies"]\n[tool.setuptools.dynamic]\ndependencies = { file = ["needs/all.txt"] }\n'
)
HATCH = BARE + 'dynamic = ["dependencies"]\n[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ["needs/all.txt"]\n'


@pytest.fixture
def release(tmp_path):
    """Writes files of a checkout, and gives its project folder."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / "checkout" / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / "checkout" / "model"

    return write


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        pytest.param({"uv.lock": "1", "pyproject.toml": BARE}, "uv.lock", id="the lock"),
        pytest.param({"uv.lock": "1", "pyproject.toml": BARE}, "pyproject.toml", id="pyproject.toml beside a lock"),
        pytest.param({"requirements.txt": "six"}, "requirements.txt", id="requirements.txt"),
        pytest.param({"requirements.txt": "-r a/b.txt", "a/b.txt": "six"}, "a/b.txt", id="-r"),
        pytest.param({"requirements.txt": "-ra/b.txt", "a/b.txt": "six"}, "a/b.txt", id="-r, no space"),
        pytest.param({"requirements.txt": "--requirement=b.txt", "b.txt": "six"}, "b.txt", id="--requirement="),
        pytest.param({"requirements.txt": "six\n-c c.txt  # limits", "c.txt": "six<2"}, "c.txt", id="-c, a comment"),
        pytest.param({"requirements.txt": "--constraint c.txt", "c.txt": "six<2"}, "c.txt", id="--constraint"),
        pytest.param(
            {"requirements.txt": "-r a/b.txt", "a/b.txt": "-c c.txt", "a/c.txt": "six<2"}, "a/c.txt", id="-c below -r"
        ),
        pytest.param({"requirements.txt": "-r ../b.txt", "../b.txt": "six"}, "../b.txt", id="-r of a folder above"),
        pytest.param({"requirements.txt": "six", "uv.toml": ""}, "uv.toml", id="uv.toml"),
        pytest.param({"requirements.txt": "six", "../uv.toml": ""}, "../uv.toml", id="uv.toml of the folder above"),
        pytest.param({"requirements.txt": "six", ".python-version": "3.11"}, ".python-version", id=".python-version"),
        pytest.param({"pyproject.toml": BARE, "setup.cfg": ""}, "setup.cfg", id="setup.cfg"),
        pytest.param({"pyproject.toml": SETUPTOOLS, "needs/all.txt": "six"}, "needs/all.txt", id="setuptools' files"),
        pytest.param({"pyproject.toml": HATCH, "needs/all.txt": "six"}, "needs/all.txt", id="hatch's files"),
        pytest.param(
            {"pyproject.toml": BARE, "../pyproject.toml": "[tool.uv.workspace]\nmembers=['*']", "../uv.lock": "1"},
            "../uv.lock",
            id="the lock of a workspace above",
        ),
    ],
)
def test_a_file_that_uv_reads_changes_the_digest(release, files, changed):
    before = package_files.digest(release(files))
    assert package_files.digest(release({changed: files[changed] + "\n# changed"})) != before
    assert package_files.digest(release(files)) == before


def test_uv_s_settings_in_a_folder_above_change_the_digest(release):
    before = package_files.digest(release({"requirements.txt": "six", "../pyproject.toml": BARE}))
    assert package_files.digest(release({"../pyproject.toml": BARE + "description = 'x'\n"})) == before
    settings = BARE + "[tool.uv]\nconstraint-dependencies = ['six<2']\n"
    assert package_files.digest(release({"../pyproject.toml": settings})) != before


def test_a_file_that_uv_does_not_read_changes_nothing(release):
    before = package_files.digest(release({"uv.lock": "1", "pyproject.toml": BARE}))
    assert package_files.digest(release({"requirements.txt": "six", "train.py": "", "data/x.csv": "1"})) == before


def test_files_that_include_each_other_are_read_once(release):
    files = {"requirements.txt": "-r a.txt", "a.txt": "-r b.txt\nsix", "b.txt": "-r a.txt"}
    assert package_files.digest(release(files)) != package_files.digest(release({"b.txt": "-r a.txt\nattrs"}))


@pytest.mark.parametrize(
    "line",
    [
        "six @ git+https://example.com/six@0123",
        "-e git+https://example.com/six@0123#egg=six",
        "https://example.com/six-1.0-py3-none-any.whl",
        "-r https://example.com/base.txt",
        "--index-url https://example.com/simple",
        "--find-links /mnt/wheels",
        "six[extra]>=1; python_version > '3'  # ./not a path",
    ],
)
def test_a_requirement_from_elsewhere_is_no_local_path(release, line):
    package_files.digest(release({"requirements.txt": line}))


@pytest.mark.parametrize("line", ["-e.", "--editable=.", ".", "..", "./x.whl", "/srv/x.whl", "x @ ./x", "-f ./wheels"])
def test_a_local_path_is_refused_by_file_and_line(release, line):
    with pytest.raises(EnvironmentDefinitionError) as caught:
        package_files.digest(release({"requirements.txt": f"# ours\nsix\n{line}\n"}))
    assert str(caught.value).startswith(f"requirements.txt:3: {line!r} is a local path.")
