"""What we rely on S3 for: exact listings, create-only writes, and failures that say where."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import boto3
import pytest
from live_servers import free_ports
from stack_model import REGION

from retrain.airflow import connections
from retrain.airflow.connections import Aws
from retrain.errors import StoreError
from retrain.store import s3 as store
from retrain.work import process

FIRST, LAST = "dt=2020-03-01", "dt=2020-03-05"
WRITERS = 16
PAGE = 1000  # objects or versions in one answer of S3


def put(s3, bucket, key, body=b"x"):
    return s3.put_object(Bucket=bucket, Key=f"raw/{key}", Body=body).get("VersionId")


def raw_objects(s3, bucket):
    return [each.object for each in store.list_versions(s3, f"s3://{bucket}/raw", FIRST, LAST)]


def test_a_day_that_was_landed_again_is_listed_once_with_its_newest_version(s3, bucket):
    raw = bucket(versioned=True)
    put(s3, raw, "dt=2020-03-05/part-0.parquet", b"first")
    newest = put(s3, raw, "dt=2020-03-05/part-0.parquet", b"corrected")
    (found,) = raw_objects(s3, raw)
    assert (found.key, found.size, found.version_id) == ("dt=2020-03-05/part-0.parquet", 9, newest)


def test_what_was_deleted_is_not_listed_although_its_versions_are_still_there(s3, bucket):
    raw = bucket(versioned=True)
    for key in ("dt=2020-03-04/part-0.parquet", "dt=2020-03-05/part-0.parquet"):
        put(s3, raw, key)
    s3.delete_object(Bucket=raw, Key="raw/dt=2020-03-04/part-0.parquet")
    assert [o.key for o in raw_objects(s3, raw)] == ["dt=2020-03-05/part-0.parquet"]


def test_a_listed_version_can_be_read_after_the_day_was_landed_again(s3, bucket):
    raw = bucket(versioned=True)
    put(s3, raw, "dt=2020-03-05/part-0.parquet", b"first")
    (found,) = raw_objects(s3, raw)
    put(s3, raw, "dt=2020-03-05/part-0.parquet", b"corrected")
    answer = s3.get_object(Bucket=raw, Key=f"raw/{found.key}", VersionId=found.version_id)
    assert answer["Body"].read() == b"first"


def test_an_unversioned_bucket_gives_objects_without_a_version(s3, bucket):
    raw = bucket()
    put(s3, raw, "dt=2020-03-05/part-0.parquet", b"abc")
    (found,) = raw_objects(s3, raw)
    assert (found.etag, found.size, found.version_id) == ("900150983cd24fb0d6963f7d28e17f72", 3, None)


def test_nothing_outside_the_window_is_listed_and_its_two_ends_are(s3, bucket):
    raw = bucket(versioned=True)
    for day in ("2020-02-29", "2020-03-01", "2020-03-05", "2020-03-06"):
        put(s3, raw, f"dt={day}/part-0.parquet")
        put(s3, raw, f"dt={day}/_SUCCESS")
    for neighbour in ("raw-other/dt=2020-03-03/part-0.parquet", "rax/dt=2020-03-03/part-0.parquet"):
        s3.put_object(Bucket=raw, Key=neighbour, Body=b"x")
    listed = {o.key for o in raw_objects(s3, raw)}
    assert listed == {
        f"dt={day}/{name}" for day in ("2020-03-01", "2020-03-05") for name in ("part-0.parquet", "_SUCCESS")
    }


@pytest.mark.parametrize("versioned", [True, False])
def test_a_first_key_that_is_itself_an_object_is_listed(s3, bucket, versioned):
    raw = bucket(versioned=versioned)
    for day in ("20200229", "20200301", "20200302", "20200303"):
        put(s3, raw, f"trips_{day}.csv")
    listed = store.list_versions(s3, f"s3://{raw}/raw", "trips_20200301.csv", "trips_20200302.csv")
    assert [each.object.key for each in listed] == ["trips_20200301.csv", "trips_20200302.csv"]


@pytest.mark.parametrize("name", ["a#1.csv", "a?b=c.csv", "a%20b+c d.csv", "Zürich.csv", "s3:", "a;b&c.csv"])
def test_an_object_of_any_name_is_listed_and_read(s3, bucket, name):
    raw = bucket(versioned=True)
    put(s3, raw, f"dt=2020-03-05/{name}", name.encode())
    (found,) = raw_objects(s3, raw)
    assert found.key == f"dt=2020-03-05/{name}"
    assert store.get(s3, f"s3://{raw}/raw/{found.key}") == name.encode()


def test_data_at_a_bucket_s_root_is_listed_from_its_first_key(s3, bucket):
    raw = bucket(versioned=True)
    for key in ("01-03-2020.csv", "raw/02-03-2020.csv"):
        s3.put_object(Bucket=raw, Key=key, Body=b"x")
    listed = store.list_versions(s3, f"s3://{raw}", "", "")
    assert [each.object.key for each in listed] == ["01-03-2020.csv", "raw/02-03-2020.csv"]


def test_a_listed_object_has_the_time_of_its_last_write(s3, bucket):
    raw = bucket(versioned=True)
    for body in (b"first", b"corrected"):
        put(s3, raw, "dt=2020-03-05/part-0.parquet", body)
    (found,) = store.list_versions(s3, f"s3://{raw}/raw", FIRST, LAST)
    written = s3.head_object(Bucket=raw, Key="raw/dt=2020-03-05/part-0.parquet")["LastModified"]
    assert abs((found.written - written).total_seconds()) < 1  # a listing has milliseconds, a header has not


@pytest.fixture(scope="module")
def crowded(s3):
    """A bucket with more days than one answer of S3 has room for: its name, and its keys. The last days were landed four times."""
    name, days = "crowded", [f"dt={number:04d}/part-0.parquet" for number in range(PAGE + 20)]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    landed = [*days, *days[PAGE - 10 :] * 3]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: put(s3, name, key, b"abc"), landed))
    return name, days


def test_a_window_larger_than_one_answer_of_s3_is_listed_whole_although_an_answer_ends_within_a_day(s3, crowded):
    name, days = crowded
    first = s3.list_object_versions(Bucket=name)["Versions"]
    second = s3.list_object_versions(Bucket=name, KeyMarker=first[-1]["Key"], VersionIdMarker=first[-1]["VersionId"])
    assert len(first) == PAGE
    assert second["Versions"][0]["Key"] == first[-1]["Key"]
    listed = store.list_versions(s3, f"s3://{name}/raw", days[0].split("/")[0], days[-1].split("/")[0])
    assert [each.object.key for each in listed] == days


def test_a_folder_larger_than_one_answer_of_s3_is_listed_whole(s3, crowded):
    name, days = crowded
    assert list(store.list_objects(s3, f"s3://{name}/raw")) == days


def test_of_sixteen_writers_at_once_exactly_one_creates_and_its_bytes_stay(s3, bucket):
    url, start = f"s3://{bucket()}/entry", Barrier(WRITERS)

    def create(number: int) -> bool:
        start.wait(30)
        return store.create(s3, url, f"writer {number}".encode())

    with ThreadPoolExecutor(WRITERS) as pool:
        created = list(pool.map(create, range(WRITERS)))
    assert created.count(True) == 1
    assert store.get(s3, url) == f"writer {created.index(True)}".encode()


def test_what_is_not_there_is_none_and_no_failure(s3, bucket):
    assert store.get(s3, f"s3://{bucket()}/nothing") is None


@pytest.fixture
def stranger(s3_server):
    """A client of an account that may do nothing."""
    secrets = s3_server.secrets
    admin = boto3.client(
        "iam",
        endpoint_url=s3_server.s3_url,
        region_name=REGION,
        aws_access_key_id=secrets.s3_access_key,
        aws_secret_access_key=secrets.s3_secret_key,
    )
    admin.create_user(UserName="stranger")
    key = admin.create_access_key(UserName="stranger")["AccessKey"]
    yield boto3.client(
        "s3",
        endpoint_url=s3_server.s3_url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    admin.delete_access_key(UserName="stranger", AccessKeyId=key["AccessKeyId"])
    admin.delete_user(UserName="stranger")


ACTIONS = [
    pytest.param(lambda c, url: store.list_versions(c, url, FIRST, LAST), "ListObjectVersions", id="listing raw data"),
    pytest.param(store.list_objects, "ListObjectsV2", id="listing a folder"),
    pytest.param(store.get, "GetObject", id="reading"),
    pytest.param(lambda c, url: store.create(c, url, b"x"), "PutObject", id="creating"),
]


@pytest.mark.parametrize(("act", "action"), ACTIONS)
def test_a_missing_permission_is_named_with_the_action_and_the_place(stranger, bucket, act, action):
    url = f"s3://{bucket()}/some/place"
    permissions = {"ListObjectVersions": "s3:ListBucketVersions", "ListObjectsV2": "s3:ListBucket"}
    named = permissions.get(action, "this permission")
    with pytest.raises(StoreError, match=rf"AccessDenied to {action} on {url}\. Give the role {named}[.,]"):
        act(stranger, url)


def test_a_refused_object_may_be_one_that_is_not_there_so_the_right_to_list_is_named_too(stranger, bucket):
    url = f"s3://{bucket()}/dt=2020-03-17/_SUCCESS"
    place, key = store.split(url)
    with pytest.raises(StoreError, match=r"to GetObject .*s3:ListBucket"):
        store.get(stranger, url)
    with pytest.raises(StoreError, match=r"403 to HeadObject .*s3:ListBucket"), store.naming("HeadObject", url):
        stranger.head_object(Bucket=place, Key=key)
    with pytest.raises(StoreError, match=r"to PutObject [^:]+:[^:]+permission\.$"):
        store.create(stranger, url, b"x")


@pytest.mark.parametrize(("act", "action"), ACTIONS)
def test_a_missing_bucket_is_named_with_the_action_and_never_taken_for_an_empty_one(s3, act, action):
    with pytest.raises(StoreError, match=rf"NoSuchBucket to {action} on s3://no-such-bucket/x\. Create the bucket"):
        act(s3, "s3://no-such-bucket/x")


@pytest.mark.parametrize(("act", "action"), ACTIONS)
def test_a_server_that_is_down_is_named_with_the_action_and_its_address(connection, monkeypatch, act, action):
    monkeypatch.setattr(
        connections, "_AWS", connections._AWS.merge(type(connections._AWS)(retries={"max_attempts": 0}))
    )
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    down = connection(
        "down",
        conn_type="aws",
        login="key",
        password="secret-key",
        extra={"endpoint_url": address, "region_name": REGION},
    )
    with pytest.raises(
        StoreError, match=rf"did not answer {action} on s3://bucket/x .*{address}.*Clear the task"
    ) as caught:
        act(Aws(down).client(), "s3://bucket/x")
    assert "secret-key" not in str(caught.value)


def test_a_child_process_gets_the_connection_in_the_names_that_aws_clients_read(stack):
    assert Aws("aws_default").environment() == {
        "AWS_ACCESS_KEY_ID": stack.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secrets.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": stack.s3_url,
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "3",
    }


def test_how_patient_a_child_process_is_a_worker_s_own_environment_may_say(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    assert process.environment(**Aws("aws_default").environment())["AWS_MAX_ATTEMPTS"] == "7"


def test_an_account_on_aws_itself_has_no_endpoint(connection):
    plain = connection("plain", conn_type="aws", login="key", password="secret-key", extra={"region_name": "eu-west-1"})
    assert Aws(plain).endpoint is None
    assert "AWS_ENDPOINT_URL" not in Aws(plain).environment()
