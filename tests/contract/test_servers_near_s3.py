"""Servers that know only a part of S3's interface, such as Garage, R2 and Ozone: our S3 server behind a proxy that answers as they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from gate import Gate, gate_to
from live_servers import ROOT
from stack_model import REGION, Stack

from retrain.doctor import buckets
from retrain.doctor.finding import Found
from retrain.errors import OverwrittenError, StoreError, StoreForbiddenError
from retrain.run.manifest import Manifest
from retrain.store import mutable_objects
from retrain.store import s3 as store
from retrain.store.ledger import Ledger
from retrain.work import process

XML = '<?xml version="1.0" encoding="UTF-8"?>'
GARAGE = (
    f"{XML}<Error><Code>NotImplemented</Code><Message>Unimplemented action: ListObjectVersions</Message>"
    "<Resource>/raw</Resource><Region>garage</Region></Error>"
)
MINIO = (
    f"{XML}<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message>"
    "<BucketName>raw</BucketName><Resource>/raw</Resource><RequestId>17A1</RequestId><HostId>dd9025</HostId></Error>"
)
NOT_ALLOWED = (
    f"{XML}<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed.</Message></Error>"
)
NO_LENGTH = f"{XML}<Error><Code>MissingContentLength</Code><Message>You must provide the Content-Length HTTP header.</Message></Error>"
DENIED = f"{XML}<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
# What Ozone up to 2.2 sends: it does not look at `?versions` and lists the objects.
OZONE = (
    f'{XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>raw</Name><Prefix>raw/</Prefix><Marker></Marker>'
    "<MaxKeys>1000</MaxKeys><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>raw/dt=2020-03-01/a.parquet</Key>"
    "<LastModified>2020-03-02T00:00:00Z</LastModified><ETag>x</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents>"
    "</ListBucketResult>"
)


@pytest.fixture
def gate(s3_server: Stack) -> Iterator[Gate]:
    with gate_to(s3_server.s3_url) as gate:
        yield gate


@pytest.fixture
def near(gate: Gate, s3_server: Stack) -> Any:
    """A client of the server behind the gate."""
    return client_of(gate, s3_server)


def client_of(gate: Gate, stack: Stack) -> Any:
    secrets = stack.secrets
    return boto3.client(
        "s3",
        endpoint_url=gate.url,
        region_name=REGION,
        aws_access_key_id=secrets.s3_access_key,
        aws_secret_access_key=secrets.s3_secret_key,
    )


def versions_answered(gate: Gate, status: int, body: str) -> list[str]:
    """From now on the server answers so to ListObjectVersions; returns the list of these requests, which grows."""
    asked: list[str] = []

    def answer(method: str, path: str, _: Mapping[str, str]) -> tuple[int, str] | None:
        if method != "GET" or "?versions" not in path:
            return None
        asked.append(path)
        return status, body

    gate.own_answer = answer
    return asked


REFUSALS = [
    pytest.param(501, GARAGE, id="Garage"),
    pytest.param(501, MINIO, id="as MinIO words it"),
    pytest.param(405, NOT_ALLOWED, id="method not allowed"),
    pytest.param(501, "<html><body>501 Not Implemented</body></html>", id="a proxy's page"),
    pytest.param(200, OZONE, id="Ozone, which lists the objects"),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_server_that_does_not_list_versions_is_listed_as_an_unversioned_one_and_asked_once(
    gate: Gate, near, s3, bucket: Callable[..., str], status: int, body: str
) -> None:
    name = bucket()
    for day in ("2020-02-29", "2020-03-01", "2020-03-05", "2020-03-06"):
        s3.put_object(Bucket=name, Key=f"raw/dt={day}/a.parquet", Body=b"abc")
    asked = versions_answered(gate, status, body)
    for _ in range(2):
        listed = store.list_versions(near, f"s3://{name}/raw", "dt=2020-03-01", "dt=2020-03-05")
        assert [each.object.key for each in listed] == ["dt=2020-03-01/a.parquet", "dt=2020-03-05/a.parquet"]
        assert {(each.object.etag, each.object.size, each.object.version_id) for each in listed} == {
            ("900150983cd24fb0d6963f7d28e17f72", 3, None)
        }
        written = s3.head_object(Bucket=name, Key="raw/dt=2020-03-01/a.parquet")["LastModified"]
        assert abs((listed[0].written - written).total_seconds()) < 1
    assert len(asked) == 1


def test_a_role_that_may_not_list_versions_is_refused_and_not_taken_for_an_unversioned_bucket(
    gate: Gate, near, bucket: Callable[..., str]
) -> None:
    versions_answered(gate, 403, DENIED)
    with pytest.raises(StoreForbiddenError, match="AccessDenied to ListObjectVersions"):
        store.list_versions(near, f"s3://{bucket()}/raw", "dt=2020-03-01", "dt=2020-03-05")


def test_an_object_that_was_overwritten_on_such_a_server_is_noticed_before_it_is_read(
    gate: Gate, near, s3, bucket: Callable[..., str]
) -> None:
    name = bucket()
    root = f"s3://{name}/raw"
    for key in ("2020/03/09/a.csv", "2020/03/09/b.csv"):
        s3.put_object(Bucket=name, Key=f"raw/{key}", Body=key.encode())
    versions_answered(gate, 501, GARAGE)
    listed = store.list_versions(near, root, "2020/03/09", "2020/03/09")
    manifest = Manifest("p", "2020-03-09", root, tuple(each.object for each in listed))
    store.require_unchanged(near, manifest)
    s3.put_object(Bucket=name, Key="raw/2020/03/09/a.csv", Body=b"corrected")
    with pytest.raises(OverwrittenError, match=r"raw/2020/03/09/a.csv \(1 objects in all\) was overwritten"):
        store.require_unchanged(near, manifest)


def create_only(client, bucket: str, **place: Any) -> tuple[Found, str] | None:
    """What the doctor finds out about create-only writes to a ledger in this bucket."""
    ledger = buckets.Place("ledger", f"s3://{bucket}/ledger")
    findings = {each.thing: each for each in buckets.check_place(ledger, client, region="", **place)}
    found = findings.get(f"{ledger}: create-only")
    return None if found is None else (found.found, found.seen)


def test_the_doctor_finds_a_server_that_overwrites_what_should_only_be_created(
    gate: Gate, near, bucket: Callable[..., str]
) -> None:
    name = bucket()
    assert create_only(near, name, elsewhere=gate.url) == (Found.OK, "an object that exists is not overwritten")
    gate.dropped_headers = frozenset({"if-none-match"})
    found = create_only(near, name, elsewhere=gate.url)
    assert found is not None
    assert found[0] is Found.WRONG
    assert f"s3://{name}/ledger/doctor-create-only in spite of If-None-Match" in found[1]


def test_the_doctor_finds_a_server_that_knows_no_conditional_writes(
    gate: Gate, near, bucket: Callable[..., str]
) -> None:
    gate.own_answer = lambda method, *_: (501, MINIO) if method == "PUT" else None
    found = create_only(near, bucket(), elsewhere=gate.url)
    assert found is not None
    assert found[0] is Found.WRONG
    assert "NotImplemented to PutObject" in found[1]


def test_the_doctor_writes_nothing_to_aws_itself_or_with_a_role_that_only_reads(
    gate: Gate, near, bucket: Callable[..., str]
) -> None:
    name = bucket()
    assert create_only(near, name) is None
    assert create_only(near, name, elsewhere=gate.url, read_only=True) is None
    assert not gate.puts


def test_create_only_is_tried_with_one_object_which_no_reader_of_the_ledger_takes_for_a_pipeline(
    gate: Gate, near, s3, bucket: Callable[..., str]
) -> None:
    name = bucket(versioned=True)
    for _ in range(3):
        create_only(near, name, elsewhere=gate.url)
    assert len(s3.list_object_versions(Bucket=name)["Versions"]) == 1
    assert Ledger(s3, f"s3://{name}/ledger").pipelines() == []


def without_checksums(method: str, _: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """The answer of a server of before 2025 to a body in chunks with a checksum behind it, or with a checksum in its headers."""
    new = [
        name for name in headers if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer"))
    ]
    return (411, NO_LENGTH) if method == "PUT" and new else None


@pytest.mark.parametrize("size", [10, 6 << 20], ids=["in one request", "in parts"])
def test_a_server_that_knows_no_checksums_of_requests_can_be_written_with_the_variable_of_the_docs(
    gate: Gate, s3_server: Stack, bucket: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    gate.own_answer, url = without_checksums, f"s3://{bucket()}/files/md5/00"
    (tmp_path / "object").write_bytes(bytes(size))
    with pytest.raises(StoreError, match="MissingContentLength"):
        mutable_objects.upload(client_of(gate, s3_server), url, tmp_path / "object", 5 << 20)
    page = (ROOT / "infra" / "docs" / "first-deployment.md").read_text()
    assert "`AWS_REQUEST_CHECKSUM_CALCULATION=when_required`" in page
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    plain = client_of(gate, s3_server)
    mutable_objects.upload(plain, url, tmp_path / "object", 5 << 20)
    assert store.create(plain, f"{url}-entry", b"x")
    assert not store.create(plain, f"{url}-entry", b"y")
    assert process.environment()["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
