"""The buckets of the pipelines: they are there, in the right region, and keep what the ledger and the manifests name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrain.doctor import clock
from retrain.doctor.finding import Finding, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import StoreError, StoreForbiddenError
from retrain.store import bucket_settings, s3
from retrain.store.bucket_settings import Expiration

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TERRAFORM = "On AWS Terraform makes it (infra/aws/modules/bucket): terraform plan shows what differs."
_CONDITIONAL = "Use a server with conditional writes (PutObject with If-None-Match: *) for the ledger."
_PROBE, _PROBE_TEXT = "doctor-create-only", b"Written by `retrain doctor`: this object must not be overwritten.\n"
_WATCHED = ("raw", "ledger")


@dataclass(frozen=True)
class Place:
    """A folder of a bucket: `use` is raw, store or ledger."""

    use: str
    url: str

    @property
    def bucket(self) -> str:
        return self.url.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.url.removeprefix("s3://").partition("/")[2]

    def __str__(self) -> str:
        return f"bucket {self.use} ({self.bucket})"


def places(here: Surroundings) -> dict[Place, str]:
    """The folders of all pipelines, each with the AWS connection by which it is reached. The watch's role reads two of the three."""
    chosen = _WATCHED if here.is_watch else ("raw", "store", "ledger")
    return {
        Place(use, url): each.aws_conn_id
        for each in here.deployments
        for use, url in (("raw", each.raw.url if each.raw else None), ("store", each.store), ("ledger", each.ledger))
        if use in chosen and url is not None
    }


def check(here: Surroundings) -> Iterator[Finding]:
    """Each folder, with the role of this container."""
    from retrain.airflow.connections import Aws

    for place, conn_id in places(here).items():
        aws = Aws(conn_id)
        elsewhere = aws.endpoint or here.environment.get("AWS_ENDPOINT_URL") or ""
        region = aws.hook.conn_region_name or ""
        yield from check_place(place, aws.asking("s3"), region=region, elsewhere=elsewhere, read_only=here.is_watch)


def check_place(
    place: Place, client: S3Client, *, region: str, elsewhere: str = "", read_only: bool = False
) -> Iterator[Finding]:
    """One folder: that it can be listed, the clock beside the server's, the bucket's settings.

    Args:
        place: the folder.
        client: a client with the role that is checked.
        region: the region of that client.
        elsewhere: the address of an S3 server that is not AWS's. There only versions and lifecycle are compared, and
            a ledger is tried: the server must refuse to write an object a second time.
        read_only: the role may not write, so that the ledger is not tried.
    """
    try:
        key, now = bucket_settings.first_key(client, place.url)
    except StoreForbiddenError as error:
        yield wrong(str(place), str(error), "Correct the role (infra/aws/modules/roles) or the keys of the connection.")
        return
    except StoreError as error:
        yield wrong(str(place), str(error), "Correct the bucket's name (RETRAIN_…_BUCKET), or make the bucket.")
        return
    yield ok(str(place), f"{place.url} can be listed{'' if key else ', and is empty'}")
    if now is not None:
        yield clock.difference(f"clock beside {place.bucket}", now)
    at = bucket_settings.region(client, place.bucket)
    if at and region and at != region:
        yield wrong(
            str(place), f"is in {at}, the role asks in {region}", "Set AWS_DEFAULT_REGION to the bucket's region."
        )
    yield _asked(place, "versions", lambda: versions(place, bucket_settings.versioning(client, place.bucket)))
    yield _asked(place, "lifecycle", lambda: lifecycle(place, bucket_settings.expirations(client, place.bucket)))
    if elsewhere:
        if place.use == "ledger" and not read_only:
            yield create_only(place, client)
        yield unknown(f"{place}: protection", f"the server at {elsewhere} is not AWS's")
        return
    yield _asked(place, "access", lambda: access(place, bucket_settings.refuses_public_access(client, place.bucket)))
    yield _asked(place, "encryption", lambda: encrypted(place, bucket_settings.encryption(client, place.bucket)))
    if place.use == "ledger":
        yield _asked(place, "lock", lambda: locked(place, bucket_settings.lock_mode(client, place.bucket)))


def _asked(place: Place, setting: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return ask()
    except StoreForbiddenError:
        return unknown(f"{place}: {setting}", "this role may not read the setting", "terraform plan compares it.")
    except StoreError as error:
        return unknown(f"{place}: {setting}", str(error))


def versions(place: Place, status: str) -> Finding:
    """Raw data must be versioned: manifests name versions, so that a corrected partition leaves a replay its bytes."""
    thing, said = f"{place}: versions", status or "never turned on"
    if status == "Enabled":
        return ok(thing, "are kept")
    if place.use == "raw":
        return wrong(
            thing,
            f"versioning is {said}: an overwritten partition is lost, and its day cannot be replayed",
            f"aws s3api put-bucket-versioning --bucket {place.bucket} --versioning-configuration Status=Enabled",
        )
    return ok(thing, f"versioning is {said}; the {place.use} does not need it, but what is removed by mistake is gone")


def create_only(place: Place, client: S3Client) -> Finding:
    """The server refuses to create an object that exists. It is tried with an object of the doctor's own, which stays."""
    thing, url = f"{place}: create-only", f"{place.url}/{_PROBE}"
    try:
        overwritten = s3.create(client, url, _PROBE_TEXT) and s3.create(client, url, _PROBE_TEXT)
    except StoreForbiddenError:
        return unknown(thing, f"this role may not write {url}")
    except StoreError as error:
        return wrong(thing, str(error), _CONDITIONAL)
    if overwritten:
        return wrong(
            thing,
            f"the server overwrote {url} in spite of If-None-Match: two runs can overwrite each other's ledger entry, unnoticed",
            _CONDITIONAL,
        )
    return ok(thing, "an object that exists is not overwritten")


def lifecycle(place: Place, rules: list[Expiration]) -> Finding:
    """No rule may delete current objects of the folder: manifests, receipts and the ledger name them."""
    thing = f"{place}: lifecycle"
    folder = f"{place.prefix}/" if place.prefix else ""
    hits = [each.id for each in rules if each.prefix.startswith(folder) or folder.startswith(each.prefix)]
    if hits:
        return wrong(
            thing,
            f"the rules {', '.join(hits)} delete objects that recorded days need",
            "Remove them; make prune removes what no kept day needs.",
        )
    return ok(thing, "deletes no current object")


def access(place: Place, blocked: bool) -> Finding:
    """Nobody outside may read the bucket, not even by a later policy."""
    thing = f"{place}: access"
    return (
        ok(thing, "public access is blocked") if blocked else wrong(thing, "public access is not blocked", _TERRAFORM)
    )


def encrypted(place: Place, algorithm: str) -> Finding:
    """SSE-S3: under a KMS key the ETag is no MD5, so a push would have to be read back as its proof."""
    thing = f"{place}: encryption"
    if algorithm == "AES256":
        return ok(thing, "SSE-S3")
    said = algorithm or "none"
    return warning(thing, f"{said}; with SSE-S3 (AES256) a push is proven without reading it back", _TERRAFORM)


def locked(place: Place, mode: str) -> Finding:
    """The ledger's entries are locked, so that nobody removes them."""
    thing = f"{place}: lock"
    if mode:
        return ok(thing, f"new entries are locked ({mode})")
    return wrong(thing, "entries can be removed: the bucket has no object lock with a default retention", _TERRAFORM)
