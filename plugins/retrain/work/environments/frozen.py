"""The frozen text of an environment: every package by version and hash, in one canonical form.

It is a requirements file. Its first line names Python's minor version. Then come, as comments, the packages whose code is in the
checkout and the names of package indexes; the indexes that are not the machine's own; and the requirements, sorted, with markers and
hashes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import local_project
from retrain.work.environments.local_project import LocalProject

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHON = re.compile(r"^# python (\d+\.\d+)$", re.MULTILINE)
_REMOTE = re.compile(r"(?:[\w.-]+(?:\[[^\]]*\])?\s*(?:==|@\s*(?!file:)[a-z][a-z+]*://)|https?://|git\+)")
_NAMED = re.compile(r"^# index (\S+=\S+)$", re.MULTILINE)
_PLACE = re.compile(r"--(?:index-url|extra-index-url|find-links)[ =](\S+)")
_USERINFO = re.compile(r"([a-z][a-z+]*)://([^/@\s]+)@")
_VARIABLE = re.compile(r"\$\{\w+\}")


def identity(content: bytes) -> str:
    """SHA-256 (hex) of a frozen text, which identifies its environment."""
    return hashlib.sha256(content).hexdigest()


def is_canonical(text: str) -> bool:
    """True if the first line says that the text is in this form."""
    return bool(_PYTHON.match(text))


def python_of(text: str) -> str:
    """The minor version of Python that a frozen text was resolved for."""
    found = _PYTHON.search(text)
    return found[1] if found else RUNNING


def named_indexes(text: str) -> list[str]:
    """The named package indexes of a frozen text, as NAME=URL. A machine may have a user and password for that name."""
    return _NAMED.findall(text)


def canonical(
    emitted: str,
    machine: str = "",
    names: Mapping[str, str] | None = None,
    *,
    python: str | None = None,
    local: Iterable[LocalProject] = (),
) -> str:
    """The canonical form of a requirements text that uv wrote.

    Args:
        emitted: uv's text, with or without its annotations, and without requirements of the checkout.
        machine: what uv writes for an empty file: the machine's own indexes, which are not part of an environment.
        names: the project's names for its indexes, by URL.
        python: the minor version of Python; by default the one that the text names, else our own.
        local: the packages that each run installs from its own checkout.
    """
    ours = set(logical(machine))
    lines = list(logical(emitted))
    options = [line for line in lines if line.startswith("--")]
    known = {
        place[1].partition("://")[2].rpartition("@")[2] for line in (*options, *ours) if (place := _PLACE.match(line))
    }
    # uv does not list an index that only some packages may come from.
    indexes = dict.fromkeys(re.findall(r"^\s+# from (http\S+)$", emitted, re.MULTILINE))
    options += [f"--extra-index-url {index}" for index in indexes if index.partition("://")[2] not in known]
    if any(line.startswith("--index-url") for line in ours) and not any(o.startswith("--index-url") for o in options):
        options.insert(0, "--no-index")
    options = [line for line in options if line not in ours]
    places = [place[1] for line in options if (place := _PLACE.match(line))]
    named = [f"# index {name}={url}" for url, name in (names or {}).items() if url in places]
    packages = sorted((_requirement(line) for line in lines if not line.startswith("--")), key=str.lower)
    first = [f"# python {python or python_of(emitted)}", *local_project.lines(local)]
    return "\n".join([*first, *named, *options, *packages, ""])


def requirements(text: str) -> list[str]:
    """The requirements of a frozen text, without markers and hashes."""
    lines = (line for line in logical(text) if not line.startswith("--"))
    return [line.partition(" --hash")[0].partition(" ;")[0].strip() for line in lines]


def name_and_version(requirement: str) -> tuple[str, str]:
    """Name and version of a frozen requirement. For one from Git or from a URL, the version is the address."""
    name, *version = re.split(r"==|\s*@\s*", requirement, maxsplit=1)
    return name, "".join(version)


def unhashed(text: str) -> list[str]:
    """The requirements without a hash. One from a Git commit needs none."""
    return [line for line in logical(text) if not line.startswith("--") and "--hash" not in line and "git+" not in line]


def refuse_local_and_secret(text: str, source: str) -> None:
    """Refuse local paths and passwords, which must not be in a frozen text. `source` is the file that the text comes from.

    Raises:
        EnvironmentDefinitionError: there is one; the message names requirement and file.
    """
    for line in logical(text):
        place = _PLACE.match(line)
        what = line.partition(" --hash")[0]
        masked = _USERINFO.sub(r"\1://****@", what)
        if (place and _is_relative(place[1])) or not (line.startswith("--") or _REMOTE.match(line)):
            raise local(source, masked)
        for scheme, userinfo in _USERINFO.findall(line):
            user, _, password = userinfo.partition(":")
            if "ssh" in scheme or (user == "git" and not password) or not _VARIABLE.sub("", password or user):
                continue
            raise EnvironmentDefinitionError(
                f"{source}: {masked} names a user or password. The packages of an environment are recorded in the ledger, "
                "which must not contain a password. In a new release replace it by ${NAME} in requirements.txt and set NAME on "
                "the workers, or remove it and keep it in the workers' .netrc."
            )


def local(place: str, what: str) -> EnvironmentDefinitionError:
    """The error for a local path. `place` is the file, with its line if it is known."""
    return EnvironmentDefinitionError(
        f"{place}: {what!r} is a local path. The environment's identity would not cover its code, and it could not be installed "
        "again without this checkout. In a new release take it from a package index, or from Git by its commit: name @ git+https://...@commit"
    )


def _is_relative(place: str) -> bool:
    return "://" not in place and not place.startswith("/")


def logical(text: str) -> Iterator[str]:
    """The lines of a text of uv's without comments, with continued lines joined."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare:
            yield re.sub(r"\s+", " ", bare)


def _requirement(line: str) -> str:
    text, *hashes = line.split(" --hash=")
    return " \\\n".join([text.strip(), *(f"    --hash={one}" for one in sorted({h.strip() for h in hashes}))])
