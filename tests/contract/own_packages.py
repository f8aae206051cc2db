"""Small projects of a team's, in the layouts and with the build backends that teams use. Each has a package that knows its own version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The files of a project by path, the distribution's name, and the module in it."""

    files: Mapping[str, str]
    name: str
    module: str


PROJECT = '[project]\nname = "{0}"\nversion = "1.2"\ndescription = "theirs"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
PROGRAMS = '[project.scripts]\ngreet = "greeting:main"\n[project.entry-points."their.group"]\nhello = "greeting:main"\n'
MAIN = "def main():\n    print('hello of version 1')\n"

SRC = Layout(
    {"pyproject.toml": SETUPTOOLS + PROJECT.format("greeting") + PROGRAMS, "src/greeting/__init__.py": MAIN},
    "greeting",
    "greeting",
)
FLAT = Layout(
    {"pyproject.toml": SETUPTOOLS + PROJECT.format("greeting") + PROGRAMS, "greeting/__init__.py": MAIN},
    "greeting",
    "greeting",
)
HATCHLING = Layout(
    {
        "pyproject.toml": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        + PROJECT.format("greeting")
        + PROGRAMS,
        "src/greeting/__init__.py": MAIN,
    },
    "greeting",
    "greeting",
)
FLIT = Layout(
    {
        "pyproject.toml": '[build-system]\nrequires = ["flit_core >=3.9,<4"]\nbuild-backend = "flit_core.buildapi"\n'
        + PROJECT.format("greeting")
        + PROGRAMS,
        "greeting/__init__.py": MAIN,
    },
    "greeting",
    "greeting",
)
POETRY = Layout(
    {
        "pyproject.toml": '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
        '[tool.poetry]\nname = "greeting"\nversion = "1.2"\ndescription = "theirs"\nauthors = []\n'
        '[tool.poetry.scripts]\ngreet = "greeting:main"\n[tool.poetry.plugins."their.group"]\nhello = "greeting:main"\n',
        "greeting/__init__.py": MAIN,
    },
    "greeting",
    "greeting",
)
# As the data science cookiecutter makes it: the package is named src.
COOKIECUTTER = Layout(
    {
        "setup.py": "from setuptools import find_packages, setup\n\nsetup(name='src', packages=find_packages(), version='1.2', "
        "entry_points={'console_scripts': ['greet=src.greeting:main'], 'their.group': ['hello=src.greeting:main']})\n",
        "src/__init__.py": "",
        "src/greeting.py": MAIN,
    },
    "src",
    "src.greeting",
)
# setuptools installs editable from version 64 on.
OLD_BACKEND = Layout(
    {
        **COOKIECUTTER.files,
        "pyproject.toml": '[build-system]\nrequires = ["setuptools==62.0.0", "wheel"]\nbuild-backend = "setuptools.build_meta"\n',
    },
    "src",
    "src.greeting",
)
LAYOUTS = {
    "old backend": OLD_BACKEND,
    "src": SRC,
    "flat": FLAT,
    "hatchling": HATCHLING,
    "flit": FLIT,
    "poetry": POETRY,
    "cookiecutter": COOKIECUTTER,
}
