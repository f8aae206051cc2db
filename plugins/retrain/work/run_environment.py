"""The environment of one run: the packages of a shared environment, with the projects of the run's own checkout on top.

It is a virtual environment in the workspace. Its Python reads the packages of the shared environment, and only the projects of the
checkout are installed into it, so that nothing in a shared environment leads to a workspace. It needs no variable: `python -I`, a
stage that sets PYTHONPATH itself and a program that starts another Python all find the projects.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import EnvironmentDefinitionError
from retrain.work import git_program
from retrain.work.environments import uv
from retrain.work.environments.environment import Environment
from retrain.work.environments.local_project import LocalProject
from retrain.work.errors import ProjectInstallError

log = logging.getLogger(__name__)

_COMPLETE = "complete.json"
# Python reads the .pth files of a folder in the order of their names: the shared packages come first, the checkout's folders last.
_SHARED, _FOLDERS = "00-shared.pth", "~checkout.pth"
_OF_A_VENV = ("bin", "lib", "lib64")
# The two headers of a console script: one line, or three if the path is too long for the kernel.
_HEADER = re.compile(
    rb"#!(?:/bin/sh\n'''exec' ['\"]?(?P<long>[^\n'\"]+)['\"]? \"\$0\" \"\$@\"\n' '''|(?P<short>[^\n]+))\n"
)
_NOT_EDITABLE = "has no attribute 'build_editable'"
_DEFINITIONS = ("pyproject.toml", "setup.cfg", "setup.py")


@dataclass(frozen=True)
class RunEnvironment:
    """The environment of one run in the folder `path`, on top of `shared`.

    `trees` are Git's hashes of the installed projects' content by path; empty if the checkout has none.
    """

    path: Path
    shared: Environment
    trees: Mapping[str, str]

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @property
    def search_path(self) -> str:
        """The PATH of the run's programs: its own, those of the shared environment, those of the machine."""
        return os.pathsep.join([str(self.bin), str(self.shared.bin), os.environ.get("PATH", os.defpath)])

    def program(self, name: str) -> Path:
        """The file of a program: of the run's own environment, else of the shared one."""
        own = self.bin / name
        return own if own.is_file() else self.shared.bin / name


def provide(shared: Environment, folder: Path, checkout: Path, project: str) -> RunEnvironment:
    """The run's environment on top of `shared`: found below `folder`, or made there with the local projects of `shared`.

    Args:
        shared: the release's environment.
        folder: a folder of the workspace, outside of the checkout.
        checkout: the top of the Git checkout.
        project: the folder of the DVC project in it. Python finds the modules in it after all others.

    Raises:
        ProjectInstallError: a project cannot be built, or is not in the checkout.
        EnvironmentBuildError: the package index did not give a project's build backend.
        DiskFullError: the disk is full.
    """
    path = folder / shared.identity[:32]
    made_for = json.dumps([str(shared.path), str(checkout), project])
    complete = path / _COMPLETE
    if not (complete.is_file() and complete.read_text(encoding="utf-8") == made_for):
        shutil.rmtree(path, ignore_errors=True)  # of another worker's shared folder, or not made to its end
        lay_over(shared, path, import_folders(checkout / project))
        install(shared.local, path, checkout)
        complete.write_text(made_for, encoding="utf-8")
    return RunEnvironment(path, shared, {each.path: _tree(checkout, each) for each in shared.local})


def run_cache_identity(shared: str, trees: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The identity of all that decides about a stage's outputs and that DVC does not see. It names the folder of the run cache.

    Args:
        shared: the identity of the shared environment, which is returned if there is nothing else.
        trees: the content of the installed projects, as of `RunEnvironment`.
        variables: the variables of the pipeline's file, without its secrets.
    """
    if not trees and not variables:
        return shared
    text = json.dumps([dict(trees), dict(variables)], sort_keys=True)
    return f"{shared[:32]}-{hashlib.sha256(text.encode()).hexdigest()}"


def import_folders(project: Path) -> tuple[Path, ...]:
    """The folders of a project with modules that its stages import: its top, and `src` if its definition names that."""
    texts = [(project / name).read_text("utf-8", "replace") for name in _DEFINITIONS if (project / name).is_file()]
    has_src = (project / "src").is_dir() and any(re.search(r"\bsrc\b", text) for text in texts)
    return (project, project / "src") if has_src else (project,)


def lay_over(shared: Environment, path: Path, folders: Iterable[Path]) -> None:
    """Make the virtual environment `path`, which has the packages and programs of `shared`, and imports from `folders` too."""
    path.mkdir(parents=True)
    (path / "bin").mkdir()
    (path / ".gitignore").write_text("*\n", encoding="utf-8")  # as uv's own, for one within a checkout
    shutil.copyfile(shared.path / "pyvenv.cfg", path / "pyvenv.cfg")
    for each in sorted(shared.bin.iterdir()):
        if each.name.startswith("python") and each.is_symlink():
            (path / "bin" / each.name).symlink_to(each.readlink())
        elif each.name.startswith("activate"):
            (path / "bin" / each.name).write_text(_activation(each, shared, path), encoding="utf-8")
        elif (text := _console_script(each, shared, path)) is not None:
            (path / "bin" / each.name).write_bytes(text)
            (path / "bin" / each.name).chmod(0o755)
    for packages in shared.path.glob("lib/python*/site-packages"):
        own = path / packages.relative_to(shared.path)
        own.mkdir(parents=True)
        (own / _SHARED).write_text(f"import site; site.addsitedir({str(packages)!r})\n", encoding="utf-8")
        (own / _FOLDERS).write_text("".join(f"{each}\n" for each in folders), encoding="utf-8")
    for data in shared.path.iterdir():  # such as share/jupyter: folders of our own, in which a project may add files
        if data.is_dir() and not data.name.startswith(".") and data.name not in _OF_A_VENV:
            shutil.copytree(data, path / data.name, copy_function=os.symlink)


def _activation(script: Path, shared: Environment, path: Path) -> str:
    """The text of a script that activates `shared`, for `path`. uv wrote the path into it at which it made `shared`, in quotes."""
    place = shlex.quote(str(path)) if "'" in str(path) else f"'{path}'"
    return re.sub(rf"'[^'\n]*/{re.escape(shared.path.name)}'", lambda _: place, script.read_text(encoding="utf-8"))


def _console_script(script: Path, shared: Environment, path: Path) -> bytes | None:
    """The text of a console script of `shared` for the Python of `path`; None if it is another program."""
    if not script.is_file():
        return None
    with script.open("rb") as file:
        if file.read(2) != b"#!":
            return None
        text = b"#!" + file.read()
    found = _HEADER.match(text)
    if not found or Path(os.fsdecode(found["long"] or found["short"])).parent != shared.bin:
        return None
    # The form that has no limit: the kernel takes only a short path after #!.
    header = f"#!/bin/sh\n'''exec' '{path / 'bin' / 'python'}' \"$0\" \"$@\"\n' '''\n"
    return header.encode() + text[found.end() :]


def install(projects: Iterable[LocalProject], path: Path, checkout: Path) -> None:
    """Install projects of a checkout into the virtual environment `path`, as `pip install -e` does, without their dependencies.

    One that is not required and cannot be built is left out: its modules are only importable from its folder.

    Raises:
        ProjectInstallError, EnvironmentBuildError, DiskFullError: as for `provide`.
    """
    for each in projects:
        try:
            _install(each, path, checkout)
        except ProjectInstallError as error:
            if each.required:
                raise
            log.warning("%s The stages run without its metadata and programs.", error)


def _install(project: LocalProject, path: Path, checkout: Path) -> None:
    """Install one project. The checkout keeps its files: a stage may depend on the folder in which setuptools writes beside the code."""
    place = checkout / project.path
    problem = f"The release's own package in {project.path} was not installed"
    if not place.exists():
        raise ProjectInstallError(f"{problem}: the checkout does not have it. {uv.FIX}")
    folder, editable = (place, ["--editable"]) if place.is_dir() else (place.parent, [])
    command = ("pip", "install", "--quiet", "--no-deps", "--python", path / "bin" / "python")
    with _without_traces(folder):
        done = uv.run(*command, *editable, place, cwd=folder)
        if done.returncode > 0 and _NOT_EDITABLE in done.output:  # a backend of before 2022, which the project pins
            had_build = (folder / "build").exists()
            done = uv.run(*command, place, cwd=folder)
            if not had_build:
                shutil.rmtree(folder / "build", ignore_errors=True)
    if done.returncode != 0 or done.timed_out:
        failure = uv.failure(done, problem, uv.FIX)
        raise ProjectInstallError(str(failure)) if isinstance(failure, EnvironmentDefinitionError) else failure


@contextmanager
def _without_traces(place: Path) -> Iterator[None]:
    """Leave the `.egg-info` folders of a project as they are."""
    with tempfile.TemporaryDirectory() as scratch:
        before: dict[Path, Path] = {}
        for number, each in enumerate(_metadata_folders(place)):
            before[each] = shutil.copytree(each, Path(scratch) / str(number))
        yield
        for each in _metadata_folders(place):
            shutil.rmtree(each)
        for each, copy in before.items():
            shutil.copytree(copy, each)


def _metadata_folders(place: Path) -> list[Path]:
    return [each for pattern in ("*.egg-info", "*/*.egg-info") for each in place.glob(pattern) if each.is_dir()]


def _tree(checkout: Path, project: LocalProject) -> str:
    """Git's hash of a project's content. Git is asked in its folder, which may be in a submodule."""
    place = checkout / project.path
    folder, name = (place, "") if place.is_dir() else (place.parent, place.name)
    return git_program.read("rev-parse", f"HEAD:./{name}", cwd=folder).strip()
