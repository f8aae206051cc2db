"""What the requirements files of a checkout ask for, and which of their lines are refused by file and line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import requested
from retrain.work.environments.errors import LocalPathError
from retrain.work.environments.requested import Requested

LIBRARY = '[project]\nname = "x"\nversion = "1"\n'
Read = Callable[[Mapping[str, str]], Requested]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes files into the folder `model` of a checkout, and reads its requirements.txt."""
    top = tmp_path / "checkout"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "pyproject.toml").write_text(LIBRARY)

    def write_and_read(files: Mapping[str, str]) -> Requested:
        for name, content in {"libs/x/pyproject.toml": LIBRARY, **files}.items():
            path = top / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return requested.of_file(top / "model" / "requirements.txt", top, (top / "model", top))

    return write_and_read


def test_included_files_are_read_where_they_are_named(read: Read) -> None:
    files = {
        "requirements.txt": "a\n-r more/base.txt\nb\n",
        "more/base.txt": "-c limits.txt\nc==1\n",
        "more/limits.txt": "d<2\n",
    }
    found = read(files)
    assert (found.lines, found.constraints, found.pinned) == (("a", "c==1", "b"), ("d<2",), {"c"})
    assert set(found.files) == {f"model/{name}" for name in files}


@pytest.mark.parametrize(
    ("line", "written"),
    [
        pytest.param("-e git+https://a.example/x@0123#egg=x", "x @ git+https://a.example/x@0123", id="-e from Git"),
        pytest.param(
            "git+https://a.example/x@0123#egg=x[y]&subdirectory=z",
            "x[y] @ git+https://a.example/x@0123#subdirectory=z",
            id="a folder of a Git repository",
        ),
        pytest.param(
            "-e git+git@a.example:team/x@0123#egg=x",
            "x @ git+ssh://git@a.example/team/x@0123",
            id="the short form of SSH",
        ),
        pytest.param("-e git+ssh://git@a.example/x@0123", "git+ssh://git@a.example/x@0123", id="Git without a name"),
        pytest.param("x @ https://a.example/x-1.whl", "x @ https://a.example/x-1.whl", id="an archive"),
        pytest.param("six[y]>=1; python_version > '3'  # ./no path", "six[y]>=1 ; python_version > '3'", id="a marker"),
        pytest.param("-r https://a.example/base.txt", "-r https://a.example/base.txt", id="an include by address"),
        pytest.param("--find-links /mnt/wheels", "--find-links /mnt/wheels", id="wheels on the machine"),
        pytest.param("--index-url https://a.example", "--index-url https://a.example", id="an index"),
        pytest.param("--only-binary a", "--only-binary a", id="only wheels"),
    ],
)
def test_a_requirement_from_elsewhere_is_asked_for_as_uv_takes_it(read: Read, line: str, written: str) -> None:
    found = read({"requirements.txt": line})
    assert (found.lines, found.refers) == ((written,), False)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("-e .", "-e {top}/model"),
        (".[plot]", "{top}/model[plot]"),
        ("./libs/x", "{top}/model/libs/x"),
        ("libs/x[y] ; python_version > '3'", "{top}/model/libs/x[y] ; python_version > '3'"),
        ("-e file:libs/x", "-e {top}/model/libs/x"),
        ("x @ file:./libs/x", "{top}/model/libs/x"),
        ("-e model/libs/x", "-e {top}/model/libs/x"),
        ("--find-links libs", "--find-links {top}/model/libs"),
    ],
)
def test_a_path_of_the_checkout_is_asked_for(read: Read, tmp_path: Path, line: str, written: str) -> None:
    found = read({"requirements.txt": line, "pyproject.toml": LIBRARY})
    assert (found.lines, found.refers) == ((written.format(top=tmp_path / "checkout"),), True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "-e ../../outside",
            r"model/requirements\.txt:3: '\.\./\.\./outside' leads out of the repository, to .*/outside",
        ),
        ("./linked", r"model/requirements\.txt:3: '\./linked' leads out of the repository, to .*/outside"),
        (
            "a @ file:///home/conda/a",
            r"model/requirements\.txt:3: 'a @ file:///home/conda/a' is a path on one machine's",
        ),
        ("a @ file:///C:/ci/a", r"model/requirements\.txt:3: 'a @ file:///C:/ci/a' is a path on one machine's disk"),
        (
            "-f ../../outside",
            r"model/requirements\.txt:3: '--find-links \.\./\.\./outside' leads out of the repository",
        ),
    ],
)
def test_a_path_outside_the_repository_is_refused_with_a_way_out(
    read: Read, tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "checkout" / "model").mkdir(parents=True)
    (tmp_path / "checkout" / "model" / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(LocalPathError, match=rf"{words}.*packages: {{lock: "):
        read({"requirements.txt": f"# ours\nsix\n{line}\n"})


def test_a_path_that_does_not_exist_is_refused(read: Read) -> None:
    with pytest.raises(
        LocalPathError, match=r"model/requirements\.txt:1: '\./nope' is a path that the repository does not"
    ):
        read({"requirements.txt": "./nope"})


def test_a_folder_that_is_no_project_is_refused(read: Read) -> None:
    with pytest.raises(LocalPathError, match=r"model/requirements\.txt:1: '\.' is a folder that has neither pyproject"):
        read({"requirements.txt": "-e ."})


def test_an_included_file_that_is_missing_is_refused(read: Read) -> None:
    with pytest.raises(
        EnvironmentDefinitionError, match=r"requirements\.txt:1 includes a\.txt, which the release does not"
    ):
        read({"requirements.txt": "-r a.txt"})


def test_an_option_that_pip_does_not_have_is_refused(read: Read) -> None:
    with pytest.raises(EnvironmentDefinitionError, match=r"requirements\.txt:1: pip knows no option --fast"):
        read({"requirements.txt": "--fast"})


def test_options_that_name_no_packages_are_left_out_and_pre_is_kept(read: Read) -> None:
    found = read({"requirements.txt": "--pre\n--prefer-binary\n--trusted-host a.example\n--require-hashes\nsix"})
    assert (found.lines, found.prereleases) == (("six",), True)


def test_a_supplied_file_includes_no_other_and_names_paths_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("setup()")
    found = requested.of_supplied("lock.txt", b"-e .\nsix==1\n", tmp_path, (tmp_path,))
    assert found.lines == (f"-e {tmp_path}", "six==1")
    with pytest.raises(EnvironmentDefinitionError, match=r"lock\.txt:1 includes base\.txt\. A supplied"):
        requested.of_supplied("lock.txt", b"-r base.txt", tmp_path, (tmp_path,))


def test_a_variable_of_the_worker_is_filled_in_and_one_of_airflow_s_own_is_not(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAST", "2.0")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "a-secret")
    found = read({"requirements.txt": "six>=${LEAST}\nattrs==${AIRFLOW__CORE__FERNET_KEY}\n"})
    assert found.lines == ("six>=2.0", "attrs==${AIRFLOW__CORE__FERNET_KEY}")
