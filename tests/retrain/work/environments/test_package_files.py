"""Which files decide what uv resolves: each of them changes the digest, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retrain.work.environments import package_files, sources
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings, of_folder


def digest(project, **changed):
    """The digest of a folder of the checkout."""
    definition = EnvironmentDefinition(project.parent, project.name, **changed)
    source = sources.choose(definition)
    return package_files.digest(definition, source, package_files.requested_of(definition, source))


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
    before = digest(release(files))
    assert digest(release({changed: files[changed] + "\n# changed"})) != before
    assert digest(release(files)) == before


def test_uv_s_settings_in_a_folder_above_change_the_digest(release):
    before = digest(release({"requirements.txt": "six", "../pyproject.toml": BARE}))
    assert digest(release({"../pyproject.toml": BARE + "description = 'x'\n"})) == before
    settings = BARE + "[tool.uv]\nconstraint-dependencies = ['six<2']\n"
    assert digest(release({"../pyproject.toml": settings})) != before


def test_a_file_that_uv_does_not_read_changes_nothing(release):
    before = digest(release({"uv.lock": "1", "pyproject.toml": BARE}))
    assert digest(release({"requirements.txt": "six", "train.py": "", "data/x.csv": "1"})) == before


def test_files_that_include_each_other_are_read_once(release):
    files = {"requirements.txt": "-r a.txt", "a.txt": "-r b.txt\nsix", "b.txt": "-r a.txt"}
    assert digest(release(files)) != digest(release({"b.txt": "-r a.txt\nattrs"}))


def test_the_value_of_a_variable_counts_as_the_text_and_that_in_an_address_does_not(release, monkeypatch):
    files = {"requirements.txt": "-r more.txt\n", "more.txt": "six>=${LEAST}\n--find-links https://x:${TOKEN}@host/\n"}
    before = digest(release(files))
    monkeypatch.setenv("TOKEN", "secret")
    assert digest(release({})) == before
    monkeypatch.setenv("LEAST", "1.0")
    first = digest(release({}))
    monkeypatch.setenv("LEAST", "2.0")
    assert len({before, first, digest(release({}))}) == len(["unset", "1.0", "2.0"])


def test_each_commit_is_resolved_anew_if_a_setup_py_of_the_checkout_can_read_other_files_of_it(release):
    today = {"settings": PackageSettings(as_of="today")}
    first, second = ({**today, "committed": datetime(2024, 1, day, tzinfo=UTC)} for day in (1, 2))
    needs = "from setuptools import setup\nsetup(install_requires=open('needs.txt').read().split())"
    project = release({"requirements.txt": "-e .", "setup.py": needs, "needs.txt": "six"})
    before = digest(project, **first)
    assert digest(release({"needs.txt": "attrs"}), **second) != before
    project = release({"requirements.txt": "six", "setup.py": ""})
    assert digest(project, **first) == digest(project, **second)


def test_what_is_not_pinned_depends_on_the_date_and_a_lock_does_not(release):
    limited = {"settings": PackageSettings(as_of="2024-01-01")}
    loose = release({"requirements.txt": "six", "pyproject.toml": BARE})
    assert digest(loose, **limited) != digest(loose)
    locked = release({"uv.lock": "1"})
    assert digest(locked, **limited) == digest(locked)


@pytest.mark.parametrize("settings", [{"extras": ("plot",)}, {"groups": ("train",)}, {"python": "3.99"}])
def test_the_settings_of_a_pipeline_change_the_digest(release, settings):
    project = release({"uv.lock": "1", "pyproject.toml": BARE})
    assert digest(project, settings=PackageSettings(**settings)) != digest(project)


def test_the_files_of_other_projects_count_if_the_checkout_s_own_packages_are_needed(release):
    files = {"requirements.txt": "-e libs/x", "libs/x/pyproject.toml": BARE}
    before = digest(release(files))
    assert digest(release({"libs/x/pyproject.toml": BARE + "dependencies = ['six']\n"})) != before


def test_other_projects_of_the_checkout_change_nothing_for_packages_of_an_index(release):
    before = digest(release({"requirements.txt": "six", "tools/setup.py": "setup()"}))
    assert digest(release({"tools/setup.py": "setup(name='x')"})) == before


def test_a_lock_has_the_digest_that_the_image_s_build_gave_it_wherever_it_lies(release):
    project = release({"uv.lock": "1", "pyproject.toml": BARE})
    alone = of_folder(project)
    source = sources.choose(alone)
    built = package_files.digest(alone, source, package_files.requested_of(alone, source))
    assert digest(project, committed=datetime(2024, 1, 1, tzinfo=UTC)) == built
