"""What stage ingest fetches, and what it refuses."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from conftest import copy_pipeline, run_in

from pipeline.errors import DataRefusedError, InputsError, StorageError
from pipeline.ingest import RawObject, fetch, folder_reader, ingest, read_manifest

DAYS = ("2020-03-03", "2020-03-04", "2020-03-05")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def objects(folder: Path) -> list[RawObject]:
    from trips.files import digest

    paths = sorted(folder.glob("dt=*/part-0.parquet"))
    return [RawObject(f"{p.parent.name}/{p.name}", digest(p, "md5"), p.stat().st_size, None) for p in paths]


def manifest(path: Path, root: str, entries: list[RawObject], **other: Any) -> None:
    content = {
        "schema_version": 1,
        "pipeline": "trip_duration",
        "partition": "2020-03-05",
        "root": root,
        "objects": [vars(entry) for entry in entries],
        **other,
    }
    path.write_text(json.dumps(content, sort_keys=True, indent=1))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    copy_pipeline(folder)
    (folder / "run.yaml").write_text('schema_version: 1\npipeline: trip_duration\npartition: "2020-03-05"\n')
    return folder


def test_exactly_the_objects_of_the_manifest_are_fetched(few_days: Path, tmp_path: Path) -> None:
    wanted = objects(few_days)[1:]
    out = tmp_path / "out"
    (out / "dt=2001-01-01").mkdir(parents=True)
    ingest(str(few_days), wanted, cache=tmp_path / "cache", out=out, threads=4, attempts=1)
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.parquet")) == [entry.key for entry in wanted]
    assert all((out / entry.key).read_bytes() == (few_days / entry.key).read_bytes() for entry in wanted)


def test_object_with_one_changed_byte_is_refused(few_days: Path, tmp_path: Path) -> None:
    entries = objects(few_days)
    path = few_days / entries[0].key
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataRefusedError, match=rf"{entries[0].key} has MD5 \w+, the manifest says {entries[0].etag}"):
        ingest(str(few_days), entries, cache=tmp_path / "cache", out=tmp_path / "out", threads=2, attempts=2)


def test_object_that_was_cut_short_is_refused(few_days: Path, tmp_path: Path) -> None:
    entries = objects(few_days)
    path = few_days / entries[0].key
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataRefusedError, match=f"bytes, the manifest says {entries[0].size}"):
        ingest(str(few_days), entries, cache=tmp_path / "cache", out=tmp_path / "out", threads=2, attempts=1)


def test_object_that_is_gone_is_refused(few_days: Path, tmp_path: Path) -> None:
    entries = objects(few_days)
    (few_days / entries[0].key).unlink()
    with pytest.raises(DataRefusedError, match="is gone since the manifest was written"):
        ingest(str(few_days), entries, cache=tmp_path / "cache", out=tmp_path / "out", threads=2, attempts=1)


def test_a_damaged_cache_is_repaired_and_a_good_one_is_used(few_days: Path, tmp_path: Path) -> None:
    entry, cache = objects(few_days)[0], tmp_path / "cache"
    reads: list[str] = []

    def read(wanted: RawObject) -> bytes:
        reads.append(wanted.key)
        return folder_reader(few_days)(wanted)

    cached = fetch(entry, cache, read, attempts=1)
    fetch(entry, cache, read, attempts=1)
    assert len(reads) == 1
    cached.write_bytes(b"spoilt")
    assert fetch(entry, cache, read, attempts=1).read_bytes() == (few_days / entry.key).read_bytes()
    assert len(reads) == 2


def test_a_cache_that_cannot_be_written_is_infrastructure(few_days: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="could not be written"):
        fetch(objects(few_days)[0], tmp_path / "cache", folder_reader(few_days), attempts=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"schema_version": 3}, "schema_version 3, this release reads 1 and 2", id="a later version"),
        pytest.param(
            {"partition": "2020-03-06"}, "is for 2020-03-06, but run.yaml is for 2020-03-05", id="another day"
        ),
        pytest.param({"objects": [{"key": "dt=2020-03-05"}]}, "is not a manifest", id="an entry without an ETag"),
        pytest.param(
            {"objects": [{"key": "../../etc/passwd", "etag": "x", "size": 1, "version_id": None}]},
            "names '../../etc/passwd'",
            id="a key that leaves the folder",
        ),
        pytest.param(
            {"objects": [{"key": "dt=2020-03-05/../../x", "etag": "x", "size": 1, "version_id": None}]},
            "names 'dt=2020-03-05/../../x'",
            id="a key that leaves its partition",
        ),
        pytest.param(
            {"objects": [{"key": "year=2020/month=03/day=05/a", "etag": "x", "size": 1, "version_id": None}]},
            r"names 'year=2020/month=03/day=05/a', but this release reads partitions in folders dt=YYYY-MM-DD/ only",
            id="another layout",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    manifest(tmp_path / "manifest.json", "/nowhere", [], **change)
    with pytest.raises(InputsError, match=says):
        read_manifest(tmp_path / "manifest.json", "2020-03-05")


def test_files_of_any_name_in_a_partition_are_fetched_under_their_keys(
    few_days: Path, tmp_path: Path, checkout: Path
) -> None:
    names = ("part-00000-4f1c-c000.snappy.parquet", "2020-03-04.parquet", "hour=03/part-0.parquet", "trips")
    content = (few_days / "dt=2020-03-04/part-0.parquet").read_bytes()
    for name in names:
        path = few_days / "dt=2020-03-04" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (same,) = (entry for entry in objects(few_days) if "03-04" in entry.key)
    wanted = [*objects(few_days), *(RawObject(f"dt=2020-03-04/{name}", same.etag, same.size, None) for name in names)]
    manifest(checkout / "manifest.json", str(few_days), wanted)
    done = run_in(checkout, "python", "-m", "pipeline.ingest", RAW_CACHE_DIR=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    raw = checkout / "data" / "raw"
    found = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    assert found == {entry.key for entry in wanted}
    assert (raw / "dt=2020-03-04/hour=03/part-0.parquet").read_bytes() == content


def test_an_object_with_the_name_of_a_folder_is_the_datas_fault_and_named(checkout: Path, few_days: Path) -> None:
    both = [RawObject(f"dt=2020-03-04/{name}", "0" * 32, 1, None) for name in ("trips", "trips/part-0")]
    manifest(checkout / "manifest.json", str(few_days), [*objects(few_days), *both])
    done = run_in(checkout, "python", "-m", "pipeline.ingest")
    assert done.returncode == 65
    assert "'dt=2020-03-04/trips' is an object and the folder of other objects" in done.stderr.splitlines()[-1]


def test_a_manifest_with_settings_of_the_pipelines_file_is_read(few_days: Path, tmp_path: Path) -> None:
    from trips.run_inputs import Manifest

    entries = objects(few_days)
    manifest(tmp_path / "old.json", str(few_days), entries)
    document = json.loads((tmp_path / "old.json").read_text())
    settings = {"params": {"params.yaml": {"data.date": "{partition}"}}}
    written = Manifest.from_json(json.dumps({**document, "schema_version": 2, "settings": settings}).encode(), "new")
    (tmp_path / "new.json").write_text(written.to_json())
    assert json.loads(written.to_json())["schema_version"] == 2
    assert read_manifest(tmp_path / "new.json", "2020-03-05") == (str(few_days), entries)


def test_a_missing_manifest_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InputsError, match="make inputs PARTITION=2020-03-05"):
        read_manifest(tmp_path / "manifest.json", "2020-03-05")


def s3_client(url: str) -> Any:
    return get_session().create_client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def bucket(s3: str, few_days: Path, request: pytest.FixtureRequest) -> tuple[str, list[RawObject]]:
    client, name = s3_client(s3), f"raw-{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    entries = []
    for entry in objects(few_days):
        body = (few_days / entry.key).read_bytes()
        put = client.put_object(Bucket=name, Key=f"raw/yellow/{entry.key}", Body=body)
        entries.append(RawObject(entry.key, put["ETag"].strip('"'), entry.size, put["VersionId"]))
    return name, entries


def test_objects_come_from_s3_by_version_though_they_were_overwritten(
    s3: str, bucket: tuple[str, list[RawObject]], few_days: Path, checkout: Path
) -> None:
    name, entries = bucket
    s3_client(s3).put_object(Bucket=name, Key=f"raw/yellow/{entries[0].key}", Body=b"corrected since")
    manifest(checkout / "manifest.json", f"s3://{name}/raw/yellow", entries)
    done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=s3, **KEYS)
    assert (done.returncode, done.stderr) == (0, "")
    for entry in entries:
        assert (checkout / "data/raw" / entry.key).read_bytes() == (few_days / entry.key).read_bytes()


def test_objects_at_a_buckets_root_are_fetched(s3: str, few_days: Path, checkout: Path) -> None:
    client, entries = s3_client(s3), objects(few_days)
    client.create_bucket(Bucket="raw-at-the-root")
    for entry in entries:
        client.put_object(Bucket="raw-at-the-root", Key=entry.key, Body=(few_days / entry.key).read_bytes())
    manifest(checkout / "manifest.json", "s3://raw-at-the-root", entries)
    done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=s3, **KEYS)
    assert (done.returncode, done.stderr) == (0, "")
    assert all((checkout / "data/raw" / e.key).read_bytes() == (few_days / e.key).read_bytes() for e in entries)


def test_object_overwritten_in_a_bucket_without_versions_is_refused_as_data(
    s3: str, bucket: tuple[str, list[RawObject]], checkout: Path
) -> None:
    name, entries = bucket
    s3_client(s3).put_object(Bucket=name, Key=f"raw/yellow/{entries[0].key}", Body=b"corrected since")
    unversioned = [RawObject(e.key, e.etag, e.size, None) for e in entries]
    manifest(checkout / "manifest.json", f"s3://{name}/raw/yellow", unversioned)
    done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=s3, **KEYS)
    assert done.returncode == 65
    assert "it was overwritten since" in done.stderr.splitlines()[-1]


def test_a_bucket_that_is_not_there_is_infrastructure(s3: str, checkout: Path, few_days: Path) -> None:
    manifest(checkout / "manifest.json", "s3://no-such-bucket/raw/yellow", objects(few_days))
    done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=s3, **KEYS)
    assert done.returncode == 75
    assert len(done.stderr.splitlines()) == 1
    assert "NoSuchBucket" in done.stderr


def test_s3_that_is_down_is_infrastructure_and_said_in_one_sentence(checkout: Path, few_days: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    manifest(checkout / "manifest.json", "s3://retrain-raw/raw/yellow", objects(few_days))
    url = f"http://127.0.0.1:{port}"
    done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=url, **KEYS)
    assert done.returncode == 75
    assert len(done.stderr.splitlines()) == 1
    assert "check that S3 is up" in done.stderr
    assert not (checkout / "data").exists()


def test_a_few_errors_of_s3_are_retried(s3: str, bucket: tuple[str, list[RawObject]], checkout: Path) -> None:
    name, entries = bucket
    failures = iter(range(2))

    class Flaky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if next(failures, None) is not None:
                self.send_error(503)
                return
            path = few_path[self.path.split("?")[0].removeprefix(f"/{name}/raw/yellow/")]
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("ETag", f'"{etags[path]}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep the requests out of the test's output."""

    client = s3_client(s3)
    few_path, etags = {}, {}
    for entry in entries:
        path = checkout / f"{entry.etag}.bin"
        path.write_bytes(client.get_object(Bucket=name, Key=f"raw/yellow/{entry.key}")["Body"].read())
        few_path[entry.key.replace("=", "%3D")] = few_path[entry.key] = path
        etags[path] = entry.etag
    manifest(checkout / "manifest.json", f"s3://{name}/raw/yellow", entries)
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        done = run_in(checkout, "python", "-m", "pipeline.ingest", AWS_ENDPOINT_URL=url, **KEYS)
        server.shutdown()
    assert (done.returncode, done.stderr) == (0, "")
