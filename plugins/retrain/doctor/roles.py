"""The roles of the AWS credentials: each can be taken, may do its work, and may do no other's."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.doctor.buckets import places
from retrain.doctor.finding import Finding, ok, unknown, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import StoreError
from retrain.store import bucket_settings
from retrain.store.s3 import naming

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ACTIONS = {
    "list": bucket_settings.may_list,
    "write": bucket_settings.may_write,
    "delete versions in": bucket_settings.may_delete,
}
_FIX = "Compare infra/aws/modules/roles with the account: terraform plan."


@dataclass(frozen=True)
class Right:
    """What a profile may do (`allowed`), or must not, in the folder of a use: raw, store or ledger."""

    profile: str
    action: str
    use: str
    allowed: bool

    def __str__(self) -> str:
        return f"{self.action} {self.use}"


def _rights(profile: str, may: str, may_not: str) -> list[Right]:
    """Rights from texts such as `list raw, write store`."""
    found = []
    for text, allowed in ((may, True), (may_not, False)):
        for each in filter(None, (part.strip() for part in text.split(","))):
            action, _, use = each.rpartition(" ")
            found.append(Right(profile, action, use, allowed))
    return found


# As infra/aws/modules/roles gives them, by the profile's name in aws_credentials.
RIGHTS = [
    *_rights(
        "default",
        "list raw, list store, list ledger, write store, write ledger",
        "write raw, delete versions in raw, delete versions in store, delete versions in ledger",
    ),
    *_rights("control", "", "list raw, list store, list ledger, write store, write ledger"),
    *_rights("watch", "list raw, list ledger", "write raw, write ledger, list store, delete versions in ledger"),
    *_rights("mlflow", "", "list raw, list store, list ledger, write store, write ledger"),
]


def check(here: Surroundings) -> Iterator[Finding]:
    """Take each profile's role, and try harmless requests with it. Nothing is written, and nothing deleted."""
    file = here.environment.get("AWS_SHARED_CREDENTIALS_FILE", "")
    parser = configparser.ConfigParser()
    try:
        known = bool(file and parser.read(file))
    except configparser.Error:  # its message quotes lines of the file
        yield wrong(
            "roles", f"{Path(file).name} is not a file of AWS profiles", "infra/docs/secrets.md has a row for it."
        )
        return
    if not known:
        yield unknown("roles", "no file of AWS profiles here: one account does everything")
        return
    roles = [name for name in parser.sections() if parser.has_option(name, "role_arn")]
    if not roles:
        yield unknown("roles", f"{Path(file).name} names no role: one pair of keys does everything")
        return
    folders: dict[str, str] = {}
    for place in places(here):
        folders.setdefault(place.use, place.url)
    for profile in roles:
        yield _role(profile, folders)


def _role(profile: str, folders: dict[str, str]) -> Finding:
    thing = f"role of profile {profile}"
    import boto3
    from botocore.config import Config

    short = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
    try:
        with naming("AssumeRole", profile, "STS"):
            session = boto3.Session(profile_name=profile)
            arn = session.client("sts", config=short).get_caller_identity()["Arn"]
            client: S3Client = session.client("s3", config=short)
        said = deviations(client, profile, folders)
    except StoreError as error:
        return wrong(
            thing, str(error), "See that the role exists, and trusts the host's role: infra/aws/modules/roles."
        )
    return wrong(thing, "; ".join(said), _FIX) if said else ok(thing, f"{arn} may do its work, and no other's")


def deviations(client: S3Client, profile: str, folders: dict[str, str]) -> list[str]:
    """The rights that a profile lacks, and those that it must not have; each as a part of a sentence.

    Raises:
        StoreError: S3 answers with another error than that of a missing permission.
    """
    tried = [right for right in RIGHTS if right.profile == profile and right.use in folders]
    found = {right: _ACTIONS[right.action](client, folders[right.use]) for right in tried}
    return [
        f"it may not {right}, and has to" if right.allowed else f"it may {right}, and must not"
        for right, allowed in found.items()
        if allowed != right.allowed
    ]
