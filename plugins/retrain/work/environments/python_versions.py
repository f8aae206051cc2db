"""The versions of Python that a pipeline may choose, and which of them a repository allows."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from retrain.work.environments import poetry_versions

KNOWN = ("3.10", "3.11", "3.12", "3.13")
_PATCHES = range(20)


def allows(wanted: str, full: str) -> bool:
    """True if a constraint, of packaging or of Poetry, allows a version of Python. One that cannot be read allows all."""
    try:
        return SpecifierSet(wanted).contains(full, prereleases=True)
    except InvalidSpecifier:
        return not is_readable(wanted) or poetry_versions.allows(wanted, full)


def fits(wanted: str, version: str) -> bool:
    """True if a constraint allows a minor version of Python: one of its patch releases."""
    return any(allows(wanted, f"{version}.{patch}") for patch in _PATCHES)


def is_readable(wanted: str) -> bool:
    """True if a text is a constraint of packaging or of Poetry."""
    try:
        SpecifierSet(wanted)
    except InvalidSpecifier:
        try:
            return bool(poetry_versions.alternatives(wanted))
        except InvalidSpecifier:
            return False
    return True


def suggested(wanted: str, unlike: str) -> str | None:
    """The minor version of `KNOWN` nearest to `unlike` that a constraint allows; None if there is none."""
    minor = int(unlike.partition(".")[2])
    fitting = [each for each in KNOWN if fits(wanted, each)]
    return min(fitting, key=lambda each: abs(int(each.partition(".")[2]) - minor), default=None)


def advice(wanted: str, chosen: str) -> str:
    """What to do about a constraint that excludes the chosen minor version."""
    if version := suggested(wanted, chosen):
        return f'Write packages: {{python: "{version}"}} into the pipeline\'s file, or allow {chosen} in a new release.'
    return f"Of {', '.join(KNOWN)} none fits: allow one of them in a new release."
