"""Raw objects in the shared cache, against real S3 servers behind a proxy that cuts and changes what it passes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from gate import gate_to
from stack_model import REGION

from retrain.airflow.connections import Aws
from retrain.errors import OverwrittenError, StoreError
from retrain.inputs.errors import RawObjectDamagedError, RawObjectGoneError
from retrain.inputs.raw_cache import RawObjects, provide
from retrain.run.manifest import RawObject

MEBIBYTE = 1 << 20
BIG = b"0123456789abcdef" * (6 * MEBIBYTE // 16)  # 5 MiB, the least that S3 takes as a part, and a second part
KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "11111111-2222-3333-4444-555555555555"}
KEY = "raw/dt=2020-03-05/a.csv"


class Raw:
    """A versioned raw bucket behind a gate, and an empty cache."""

    def __init__(self, gate, direct, client, bucket: str, cache: Path) -> None:
        self.gate, self.direct, self.bucket = gate, direct, bucket
        self.raw = RawObjects(client, cache)

    def item(self, answer, size: int, key: str = KEY) -> RawObject:
        return RawObject(key.removeprefix("raw/"), answer["ETag"].strip('"'), size, answer.get("VersionId"))

    def land(self, content: bytes = b"a,b\n1,2\n", key: str = KEY, **options) -> RawObject:
        return self.item(
            self.direct.put_object(Bucket=self.bucket, Key=key, Body=content, **options), len(content), key
        )

    def land_in_parts(self, *parts: bytes, **options) -> RawObject:
        where = {"Bucket": self.bucket, "Key": KEY}
        upload = self.direct.create_multipart_upload(**where, **options)["UploadId"]
        done = [
            {
                "PartNumber": n,
                "ETag": self.direct.upload_part(**where, UploadId=upload, PartNumber=n, Body=part)["ETag"],
            }
            for n, part in enumerate(parts, 1)
        ]
        answer = self.direct.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
        item = self.item(answer, sum(map(len, parts)))
        assert item.etag.endswith(f"-{len(parts)}")
        return item

    def provide(self, *items: RawObject) -> list[Path]:
        files = provide(self.raw, f"s3://{self.bucket}/raw", items)
        return [files[item] for item in items]

    @property
    def gets(self) -> int:
        return len([path for method, path in self.gate.passed if method == "GET"])


@pytest.fixture(params=["versioned"])
def raw(request, either_server, either_s3, connection, tmp_path):
    bucket = f"raw-{abs(hash(request.node.nodeid)):x}"
    either_s3.create_bucket(Bucket=bucket)
    if request.param == "versioned":
        either_s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with gate_to(either_server.url) as gate:
        extra = {"endpoint_url": gate.url, "region_name": REGION}
        login = {"login": either_server.access_key, "password": either_server.secret_key}
        connection("aws_default", conn_type="aws", extra=extra, **login)
        yield Raw(gate, either_s3, Aws("aws_default").client(), bucket, tmp_path / "raw")


unversioned = pytest.mark.parametrize("raw", ["unversioned"], indirect=True)


def test_an_object_is_fetched_once_by_its_version_and_named_by_its_content(raw):
    item = raw.land()
    raw.land(b"overwritten")
    (file,) = raw.provide(item)
    assert raw.provide(item) == [file]
    assert (file.name, file.read_bytes()) == (f"{item.etag}-8", b"a,b\n1,2\n")
    assert raw.gets == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_equal_content_under_many_keys_is_fetched_once(raw):
    items = [raw.land(key=f"raw/dt=2020-03-{day:02}/a.csv") for day in range(1, 6)]
    assert len(set(raw.provide(*items))) == 1
    assert raw.gets == 1


def test_a_corrupt_file_in_the_cache_is_fetched_anew(raw):
    item = raw.land()
    (file,) = raw.provide(item)
    for damage in (b"a,b\n1,3\n", b"a,b\n", b""):
        file.write_bytes(damage)
        assert raw.provide(item)[0].read_bytes() == b"a,b\n1,2\n"
    assert raw.gets == 4


@pytest.mark.parametrize("fault", ["cut", "flipped"])
@pytest.mark.parametrize("parts", [False, True])
def test_an_answer_that_breaks_off_or_has_a_wrong_byte_is_asked_for_again(raw, fault, parts):
    item = raw.land_in_parts(BIG[: 5 * MEBIBYTE], BIG[5 * MEBIBYTE :]) if parts else raw.land(BIG)
    setattr(raw.gate, fault, 1)
    (file,) = raw.provide(item)
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(BIG).digest()
    assert raw.gets in (2, 3, 4)


@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_an_object_that_never_arrives_whole_is_named_and_leaves_nothing_behind(raw, fault):
    item = raw.land(b"x" * 1000)
    setattr(raw.gate, fault, 100)
    with pytest.raises(RawObjectDamagedError, match=r"dt=2020-03-05/a\.csv arrived with .*Clear the task"):
        raw.provide(item)
    assert raw.gets == 3
    assert list(raw.raw.cache.iterdir()) == []


def test_an_object_in_parts_is_verified_again_in_the_cache_by_our_own_digest(raw, either_server):
    """It is read twice where the server tells nothing of its parts."""
    item = raw.land_in_parts(BIG[: 5 * MEBIBYTE], BIG[5 * MEBIBYTE :])
    (file,) = raw.provide(item)
    digest, once = file.with_name(f"{file.name}.sha256"), raw.gets
    assert (digest.read_text(), once) == (hashlib.sha256(BIG).hexdigest(), 1 if either_server.name == "moto" else 2)
    raw.provide(item)
    assert raw.gets == once
    file.write_bytes(b"1" + BIG[1:])
    raw.provide(item)
    assert (raw.gets, file.read_bytes() == BIG) == (2 * once, True)
    digest.unlink()  # as a stage of ours leaves it, which compares only the size
    raw.provide(item)
    assert raw.gets == 3 * once


def test_parts_of_different_sizes_are_verified_too(raw):
    parts = (BIG + b"1", BIG[: 5 * MEBIBYTE], b"the rest")
    (file,) = raw.provide(raw.land_in_parts(*parts))
    assert file.read_bytes() == b"".join(parts)


@pytest.mark.parametrize("parts", [False, True])
def test_an_object_that_is_encrypted_with_a_key_of_its_own_is_fetched_and_kept_by_our_own_digest(raw, parts):
    item = raw.land_in_parts(BIG[: 5 * MEBIBYTE], BIG[5 * MEBIBYTE :], **KMS) if parts else raw.land(BIG, **KMS)
    (file,) = raw.provide(item)
    once = raw.gets
    file.write_bytes(b"1" + BIG[1:])
    assert raw.provide(item)[0].read_bytes() == BIG
    raw.provide(item)
    assert raw.gets == 2 * once


def test_an_object_with_a_checksum_of_s3_s_own_is_compared_with_it(raw):
    item = raw.land(BIG, ChecksumAlgorithm="SHA256")
    raw.gate.flipped = 1
    assert raw.provide(item)[0].read_bytes() == BIG
    assert raw.gets == 2


def test_an_object_that_is_gone_is_named_with_its_version(raw):
    item = raw.land()
    raw.direct.delete_object(Bucket=raw.bucket, Key=KEY, VersionId=item.version_id)
    with pytest.raises(RawObjectGoneError, match=rf"a\.csv is not there in version {item.version_id} any more"):
        raw.provide(item)
    assert raw.gets == 1


def test_an_object_in_an_archive_is_named_with_the_way_back(raw, either_server):
    item = raw.land(StorageClass="GLACIER")
    if either_server.name == "ministack":
        pytest.skip("this server serves archived objects as any other")
    with pytest.raises(StoreError, match=r"a\.csv\. The object is in an archive such as Glacier: restore it in S3"):
        raw.provide(item)


@unversioned
def test_without_versions_an_object_that_is_gone_or_overwritten_is_named(raw):
    item = raw.land()
    assert item.version_id is None
    raw.land(b"other")
    with pytest.raises(OverwrittenError, match=r"a\.csv was overwritten since the run was resolved"):
        raw.provide(item)
    raw.direct.delete_object(Bucket=raw.bucket, Key=KEY)
    with pytest.raises(RawObjectGoneError, match=r"a\.csv is not there any more"):
        raw.provide(item)


@unversioned
def test_without_versions_an_object_that_is_still_the_same_is_fetched(raw):
    assert raw.provide(raw.land())[0].read_bytes() == b"a,b\n1,2\n"


def test_a_store_that_refuses_is_named_as_such_and_the_rest_is_not_asked_for(raw):
    items = [RawObject(f"dt=2020-03-05/{number}.csv", f"{number:032x}", 1, None) for number in range(200)]
    with pytest.raises(StoreError, match="S3 answered NoSuchBucket to GetObject"):
        provide(raw.raw, f"s3://{raw.bucket}-elsewhere/raw", items)
    assert raw.gets < 100
