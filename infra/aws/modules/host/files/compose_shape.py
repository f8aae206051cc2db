"""What a release's compose file may ask of this host. Everything else is refused, with the service and its key named.

The rules are about the document of `docker compose config --format json`: paths are absolute and every variable has its value. A key
that is not in the lists below is refused, so an option that a later version of compose brings is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_errors import RefusedServiceError

Document = Mapping[str, Any]

_TOP = {"name", "services", "networks", "volumes", "secrets"}
# Options that give a container nothing beyond its own processes, memory and files.
_FREE = {
    "command", "depends_on", "entrypoint", "environment", "expose", "healthcheck", "init", "labels", "mem_limit", "memswap_limit",
    "cpus", "pids_limit", "pull_policy", "read_only", "restart", "scale", "shm_size", "stop_grace_period", "stop_signal", "tmpfs",
    "ulimits", "working_dir", "profiles", "platform", "hostname", "oom_score_adj", "cpu_shares",
}  # fmt: skip
_LOG_DRIVERS = {"json-file", "local", "none"}
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# A name, or a number with a sign, may be root: the image's own list of users decides, and Docker reads "+0" as 0.
_USER = re.compile(r"[1-9][0-9]*(:[0-9]+)?")
# With these compose reads other files while it reads this one, as root and before anything is checked: into the environment of a service.
_READS_FILES = re.compile(r"\b(env_file|label_file|extends|include)\b")
# Other spellings of the same words: escapes, a word over two lines, a value in Base64.
_SPELLED = re.compile(r"\\([xuU]|\r?\n)|!!")


@dataclass(frozen=True)
class AllowedShape:
    """What this host allows. Paths are real: without symbolic links."""

    trusted: frozenset[
        str
    ]  # the release's own images, verified and by digest, and images that the settings of this host name
    third_party: frozenset[str]  # repositories of others whose images may be used, by digest only
    folder: Path  # the release's files, which may be mounted read-only
    shared: frozenset[str]  # folders of this host that may be mounted for writing
    readable: frozenset[tuple[str, str]]  # (service or "*", folder) that may be mounted read-only
    secrets: Path
    addresses: frozenset[str]  # on which ports may be published


def require_alone(file: Path) -> None:
    """Check that compose reads no other file while it reads this one.

    Raises:
        RefusedServiceError: it may name another file of this host.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedServiceError(
            f"The release's {file.name} cannot be read ({error}). Make a new release with it."
        ) from error
    if found := _READS_FILES.search(text) or _SPELLED.search(text):
        raise RefusedServiceError(
            f"The release's {file.name} is refused: {found[0]!r} in it may read another file of this host. The release before stays. "
            "Write the values into the file itself, in a new release."
        )


def is_unprivileged(user: str) -> bool:
    """True if a container's user is a number that is not root's, with or without a group."""
    return bool(_USER.fullmatch(user))


def check(document: Document, allowed: AllowedShape) -> None:
    """Refuse a document that asks for more than is allowed.

    Raises:
        RefusedServiceError: with every violation.
    """
    found = [*_top(document, allowed)]
    for name, service in document.get("services", {}).items():
        found += [f"service {name}, {key}: {why}" for key, why in _service(name, service, document, allowed)]
    if found:
        raise RefusedServiceError(
            "The release's compose file is refused: " + "; ".join(found) + ". The release before stays. "
            "Change the file, or allow it in the settings of this host (infra/aws/README.md, What a release may ask)."
        )


def _top(document: Document, allowed: AllowedShape) -> Iterator[str]:
    for key in document:
        if key not in _TOP and not key.startswith("x-"):
            yield f"{key}: is not allowed"
    for name, volume in document.get("volumes", {}).items():
        # The driver `local` with options can mount any folder of the host.
        if set(volume or {}) - {"name", "labels"} or not str((volume or {}).get("name", "")).startswith(
            f"{document.get('name')}_"
        ):
            yield f"volume {name}: has options, or a name that is not the project's"
    for name, network in document.get("networks", {}).items():
        given = {key for key, value in (network or {}).items() if value}
        if given - {"name", "driver", "internal", "labels"} or (network or {}).get("driver", "bridge") != "bridge":
            yield f"network {name}: is not a bridge of its own"
    for name, secret in document.get("secrets", {}).items():
        file = Path(str(secret.get("file", "/")))
        plain = file.parent == allowed.secrets and file.name != ".." and not file.is_symlink()
        if set(secret) - {"name", "file"} or not plain:
            yield f"secret {name}: is no file of {allowed.secrets}"


@dataclass(frozen=True)
class _Asked:
    """One service, with the document that it is in."""

    name: str
    service: Document
    document: Document
    allowed: AllowedShape


def _service(name: str, service: Document, document: Document, allowed: AllowedShape) -> Iterator[tuple[str, str]]:
    """The violations of one service: key, reason."""
    for key in sorted(set(service) - _FREE - _RULES.keys()):
        yield key, f"{str(service[key])[:60]!r} is not allowed"
    asked = _Asked(name, service, document, allowed)
    for key, rule in _RULES.items():
        for why in rule(asked):
            yield key, why


def _image(asked: _Asked) -> Iterator[str]:
    image = str(asked.service.get("image", ""))
    if not _image_allowed(image, asked.allowed):
        yield f"{image!r} is neither a verified image of the release nor an allowed image with its digest"


def _user(asked: _Asked) -> Iterator[str]:
    user = str(asked.service.get("user", ""))
    left_to_ours = not user and asked.service.get("image") in asked.allowed.trusted
    if not (left_to_ours or is_unprivileged(user)):
        yield f"{user!r} is root, is no number, or is left to an image of others"


def _cap_drop(asked: _Asked) -> Iterator[str]:
    if asked.service.get("cap_drop") != ["ALL"]:
        yield "is not [ALL]"


def _security_opt(asked: _Asked) -> Iterator[str]:
    if asked.service.get("security_opt") != ["no-new-privileges:true"]:
        yield f"{asked.service.get('security_opt')} is not [no-new-privileges:true]"


def _logging(asked: _Asked) -> Iterator[str]:
    driver = asked.service.get("logging", {}).get("driver", "json-file")
    if driver not in _LOG_DRIVERS:
        yield f"{driver!r} sends the log elsewhere"


def _networks(asked: _Asked) -> Iterator[str]:
    if set(asked.service.get("networks") or {}) - set(asked.document.get("networks", {})):
        yield "names a network that the file does not make"


def _deploy(asked: _Asked) -> Iterator[str]:
    given = asked.service.get("deploy") or {}
    if set(given) - {"replicas", "placement", "resources"} or "reservations" in given.get("resources", {}):
        yield "has more than replicas and limits"


def _ports(asked: _Asked) -> Iterator[str]:
    for port in asked.service.get("ports", ()):
        if port.get("host_ip") not in asked.allowed.addresses or port.get("mode", "ingress") != "ingress":
            yield f"{port.get('published')} is published on {port.get('host_ip') or 'every address'}"


def _secrets(asked: _Asked) -> Iterator[str]:
    for secret in asked.service.get("secrets", ()):
        source, target = secret.get("source"), str(secret.get("target") or "")
        outside = "/" in target.removeprefix("/run/secrets/")
        if source not in asked.document.get("secrets", {}) or outside:
            yield f"{source} is no secret of the file below /run/secrets"


def _volumes(asked: _Asked) -> Iterator[str]:
    for volume in asked.service.get("volumes", ()):
        if why := _mount(volume, asked):
            yield why


_RULES: Mapping[str, Callable[[_Asked], Iterator[str]]] = {
    "image": _image,
    "user": _user,
    "cap_drop": _cap_drop,
    "security_opt": _security_opt,
    "logging": _logging,
    "networks": _networks,
    "deploy": _deploy,
    "ports": _ports,
    "secrets": _secrets,
    "volumes": _volumes,
}


def _image_allowed(image: str, allowed: AllowedShape) -> bool:
    if image in allowed.trusted:
        return True
    return bool(_DIGEST.search(image)) and repository(image) in allowed.third_party


def repository(image: str) -> str:
    """The repository of a reference, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def _mount(volume: Document, asked: _Asked) -> str | None:
    """Why a mount is refused; None if it is allowed."""
    kind, source = volume.get("type"), str(volume.get("source", ""))
    if kind == "volume" and source not in asked.document.get("volumes", {}):
        return f"{source!r} is no volume of the file"
    if kind == "bind":
        return _bind(source, volume, asked)
    return None if kind in ("volume", "tmpfs") else f"a mount of type {kind!r} is not allowed"


def _bind(source: str, volume: Document, asked: _Asked) -> str | None:
    """Why a mounted folder of the host is refused; None if it is allowed."""
    allowed = asked.allowed
    if set(volume.get("bind") or {}) - {"create_host_path"}:
        return f"{source} has options"
    if source in allowed.shared:
        return None
    if not volume.get("read_only"):
        return f"{source} would be writable"
    if {(asked.name, source), ("*", source)} & allowed.readable:
        return None
    # The folder came out of an image: a link in it could lead anywhere.
    inside = Path(source).resolve() == Path(source) and Path(source).is_relative_to(allowed.folder)
    return None if inside else f"{source} is outside of the release"
