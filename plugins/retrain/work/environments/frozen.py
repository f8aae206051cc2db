"""The frozen text of an environment: every package that it holds, by version and hash, in one canonical form.

It is a requirements file. Its first line names Python's minor version; then come the package indexes, where they are not
the machine's own, and their names as comments; then the requirements, sorted, with markers and hashes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from retrain.errors import EnvironmentDefinitionError

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHON = re.compile(r"^# python (\d+\.\d+)$", re.MULTILINE)
_REMOTE = re.compile(r"(?:[\w.-]+(?:\[[^\]]*\])?\s*(?:==|@\s*(?!file:)[a-z][a-z+]*://)|https?://|git\+)")
_NAMED = re.compile(r"^# index (\S+=\S+)$", re.MULTILINE)
_PLACE = re.compile(r"--(?:index-url|extra-index-url|find-links)[ =](\S+)")
_USERINFO = re.compile(r"([a-z][a-z+]*)://([^/@\s]+)@")
_VARIABLE = re.compile(r"\$\{\w+\}")


def identity(content: bytes) -> str:
    """SHA-256 (hex) of a frozen text: what an environment is known by."""
    return hashlib.sha256(content).hexdigest()


def is_canonical(text: str) -> bool:
    """Whether a text says that it is in this form."""
    return bool(_PYTHON.match(text))


def python_of(text: str) -> str:
    """The minor version of Python that a frozen text was resolved for."""
    found = _PYTHON.search(text)
    return found[1] if found else RUNNING


def named_indexes(text: str) -> list[str]:
    """The package indexes of a frozen text that have a name, as NAME=URL: a machine may hold a user and password by that name."""
    return _NAMED.findall(text)


def canonical(emitted: str, machine: str = "", names: Mapping[str, str] | None = None) -> str:
    """The canonical form of a requirements text that uv wrote.

    Args:
        emitted: uv's text, with or without its annotations.
        machine: what uv writes for no requirement at all: the machine's own indexes, which are not part of an environment.
        names: the names that a project gives to its indexes, by URL.
    """
    ours = set(_logical(machine))
    lines = list(_logical(emitted))
    options = [line for line in lines if line.startswith("--")]
    known = {
        place[1].partition("://")[2].rpartition("@")[2] for line in (*options, *ours) if (place := _PLACE.match(line))
    }
    # uv leaves out an index that only some packages may come from.
    indexes = dict.fromkeys(re.findall(r"^\s+# from (http\S+)$", emitted, re.MULTILINE))
    options += [f"--extra-index-url {index}" for index in indexes if index.partition("://")[2] not in known]
    if any(line.startswith("--index-url") for line in ours) and not any(o.startswith("--index-url") for o in options):
        options.insert(0, "--no-index")
    options = [line for line in options if line not in ours]
    places = [place[1] for line in options if (place := _PLACE.match(line))]
    named = [f"# index {name}={url}" for url, name in (names or {}).items() if url in places]
    packages = sorted((_requirement(line) for line in lines if not line.startswith("--")), key=str.lower)
    return "\n".join([f"# python {python_of(emitted)}", *named, *options, *packages, ""])


def requirements(text: str) -> list[str]:
    """The requirements of a frozen text, without markers and hashes."""
    lines = (line for line in _logical(text) if not line.startswith("--"))
    return [line.partition(" --hash")[0].partition(" ;")[0].strip() for line in lines]


def name_and_version(requirement: str) -> tuple[str, str]:
    """The two parts of a frozen requirement; the version of one from Git, or from a URL, is its address."""
    name, *version = re.split(r"==|\s*@\s*", requirement, maxsplit=1)
    return name, "".join(version)


def unhashed(text: str) -> list[str]:
    """The requirements that no hash holds to their content. A Git commit needs none."""
    return [
        line for line in _logical(text) if not line.startswith("--") and "--hash" not in line and "git+" not in line
    ]


def refuse_local_and_secret(text: str, source: str) -> None:
    """Refuse what cannot be kept in a frozen text: local folders and files, and passwords.

    Raises:
        EnvironmentDefinitionError: names the requirement, and `source` as the file that it comes from.
    """
    for line in _logical(text):
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
                f"{source}: {masked} names a user or password. An environment's packages are recorded in the "
                "ledger, where a password must not be. In a new release write ${NAME} in its place in requirements.txt and set NAME "
                "on the workers, or leave it out and keep it in the workers' .netrc."
            )


def local(place: str, what: str) -> EnvironmentDefinitionError:
    """The refusal of a local path: `place` is the file, with the line where it is known."""
    return EnvironmentDefinitionError(
        f"{place}: {what!r} is a local path. Its code would not be part of the environment's identity, and it could not be installed "
        "again without this checkout. In a new release take it from a package index, or from Git by its commit: name @ git+https://...@commit"
    )


def _is_relative(place: str) -> bool:
    return "://" not in place and not place.startswith("/")


def _logical(text: str) -> Iterator[str]:
    """Lines without comments, continued lines joined."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare:
            yield re.sub(r"\s+", " ", bare)


def _requirement(line: str) -> str:
    text, *hashes = line.split(" --hash=")
    return " \\\n".join([text.strip(), *(f"    --hash={one}" for one in sorted({h.strip() for h in hashes}))])


def lines_of(text: str) -> Sequence[tuple[int, str]]:
    """The lines of a requirements file that say something, with their numbers."""
    stripped = ((at, re.sub(r"(^|\s)#.*$", "", line).strip()) for at, line in enumerate(text.splitlines(), 1))
    return [(at, line) for at, line in stripped if line]
