"""A green push means stored: on both S3 implementations, with each way of not being stored brought about for real."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest
from foreign_pipeline import DVC_YAML, PIPELINE, SPLIT, Pipeline
from gate import FOR_EVER, gate_to
from live_servers import end, wait_until
from stack_model import REGION, STORE_BUCKET

from retrain.airflow import connections
from retrain.airflow.connections import Aws
from retrain.errors import CorruptCacheError, LostObjectError, PushError, StoreError, UnprovenPushError
from retrain.store import s3 as store
from retrain.store.proving import push_and_prove
from retrain.store.receipt import ProvenBy
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject

MODEL, EVEN, ODD, FOLDER = "model.json", "data/parts/even.txt", "data/parts/odd/odd.txt", "data/parts"
MANY = 200
MEBIBYTE = 1 << 20
# botocore's own backoff would take minutes of an outage that a test makes last for ever.
IMPATIENT = {"AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}


@pytest.fixture
def gate(either_server, connection):
    """In front of the server; Airflow's connection leads to it, so that every request of ours and of DVC's is seen."""
    with gate_to(either_server.url) as gate:
        connect(connection, gate.url, either_server)
        yield gate


def connect(connection, url, account):
    connection(
        "aws_default",
        conn_type="aws",
        login=account.access_key,
        password=account.secret_key,
        extra={"endpoint_url": url, "region_name": REGION},
    )


@pytest.fixture
def place(request):
    """A place on the remote of the test's own."""
    return f"s3://{STORE_BUCKET}/{re.sub(r'[^A-Za-z0-9]+', '-', request.node.name)}"


@pytest.fixture(scope="module")
def released(stack, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - the connections have to be defined
    """A pipeline, and an attempt of it that was reproduced, and is on no remote yet. The attempt is to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        pipeline = Pipeline.start(tmp_path_factory.mktemp("reproduced"), "reproduced", deployment_dvc, patch)
        attempt = pipeline.attempt()
        attempt.repro()
    return pipeline, attempt


@pytest.fixture
def reproduced(released):
    return released[1]


@pytest.fixture
def attempt(reproduced, gate, tmp_path, place):  # noqa: ARG001 - the connection leads to the gate
    return reproduced.copy(tmp_path, place)


@pytest.fixture
def pipeline(released, gate, tmp_path, place, monkeypatch):  # noqa: ARG001 - the connection leads to the gate
    """For stages that run again: its new attempts have the cache of `first`, with a RETRAIN_HOME of the test's own."""
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    return replace(released[0], remote=place)


@pytest.fixture
def first(pipeline, reproduced, tmp_path):
    """The first attempt of `pipeline`."""
    return reproduced.copy(tmp_path, pipeline.remote, cache=tmp_path / "home" / "cache" / PIPELINE)


def at(url, key):
    bucket, prefix = store.split(url)
    return {"Bucket": bucket, "Key": f"{prefix}/{key}"}


def seed(s3, attempt):
    """What an earlier push of the same objects left."""
    for item in attempt.objects():
        s3.put_object(**at(attempt.remote, item.key), Body=(attempt.program.cache / item.key).read_bytes())


def stored(s3, url):
    """Key -> MD5 of its bytes, all of them read."""
    return {key: md5(s3.get_object(**at(url, key))["Body"].read()) for key in store.list_objects(s3, url)}


def wanted(objects):
    return {item.key: item.checksum for item in objects}


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def written(gate, url):
    """The keys below `url` that were written through the gate, in order."""
    prefix = url.removeprefix("s3://") + "/"
    return [path.removeprefix(prefix) for path in gate.puts]


def test_a_first_push_sends_every_object_once_and_proves_each_by_its_etag(attempt, gate, either_s3):
    proven = attempt.prove()
    assert stored(either_s3, attempt.remote) == wanted(attempt.objects())
    assert sorted(written(gate, attempt.remote)) == sorted(wanted(attempt.objects()))
    assert {proof.proven_by for proof in proven.receipt.proofs} == {ProvenBy.ETAG}
    assert (proven.sent, proven.healed) == (len(attempt.objects()), 0)


def cut(s3, where):
    s3.put_object(**where, Body=s3.get_object(**where)["Body"].read()[:-1])


def lose(s3, where):
    s3.delete_object(**where)


def flip(s3, where):
    before = s3.get_object(**where)["Body"].read()
    s3.put_object(**where, Body=bytes([before[0] ^ 1]) + before[1:])


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(
            {EVEN: cut, MODEL: flip, ODD: lose},
            id="a cut object, a flipped byte at the same size, a file of a folder whose listing is still there",
        ),
        pytest.param({FOLDER: flip}, id="a flipped byte in a listing"),
        pytest.param({FOLDER: lose}, id="a folder's listing"),
        pytest.param({FOLDER: cut}, id="a cut listing"),
    ],
)
def test_what_was_spoilt_on_the_remote_is_sent_again_and_nothing_else(attempt, gate, either_s3, spoilt):
    seed(either_s3, attempt)
    keys = [attempt.named(path).key for path in spoilt]
    for spoil, key in zip(spoilt.values(), keys, strict=True):
        spoil(either_s3, at(attempt.remote, key))
    proven = attempt.prove()
    assert sorted(written(gate, attempt.remote)) == sorted(keys)
    assert stored(either_s3, attempt.remote) == wanted(attempt.objects())
    assert set(proven.receipt.by_key) == set(wanted(attempt.objects()))
    # DVC itself sends only what belongs to a listing that is gone.
    assert (proven.sent, proven.healed) == ((1, 0) if spoilt == {FOLDER: lose} else (0, len(keys)))


@pytest.mark.parametrize(
    ("path", "old", "new", "stage"),
    [
        pytest.param(MODEL, b"2", b"3", "fit", id="a file"),
        pytest.param(FOLDER, b'{"md5": "5', b'{"md5": "6', "split", id="a folder's listing"),
    ],
)
def test_a_byte_flipped_in_the_cache_is_never_sent_and_a_new_attempt_makes_it_again(
    pipeline, first, gate, either_s3, path, old, new, stage
):
    item, objects = first.named(path), first.objects()
    file = first.spoil_cache(path, old, new)
    with pytest.raises(CorruptCacheError) as caught:
        first.prove()
    assert f"{path} (stage {stage}, {item.key})" in str(caught.value)
    assert gate.puts == []
    assert not file.exists()
    (aside,) = file.parent.glob("*.corrupt-*")
    assert md5(aside.read_bytes()) != item.checksum

    again = pipeline.attempt()
    assert stage in again.repro().executed
    again.prove()
    assert stored(either_s3, pipeline.remote) == wanted(objects)


def test_an_object_lost_here_and_there_is_named_and_a_new_attempt_makes_it_again(pipeline, first, gate, either_s3):
    objects, item = first.objects(), first.named(ODD)
    seed(either_s3, first)
    either_s3.delete_object(**at(first.remote, item.key))
    first.cached(ODD).unlink()
    with pytest.raises(LostObjectError, match=rf"{re.escape(ODD)} \(stage split, {item.key}\)"):
        first.prove()
    assert gate.puts == []

    again = pipeline.attempt()
    assert again.repro().executed == ("split",)
    again.prove()
    assert written(gate, pipeline.remote) == [item.key]
    assert stored(either_s3, pipeline.remote) == wanted(objects)


def test_an_object_lost_here_that_is_good_on_the_remote_needs_nothing(attempt, gate, either_s3):
    seed(either_s3, attempt)
    attempt.cached(ODD).unlink()
    assert set(attempt.prove().receipt.by_key) == set(wanted(attempt.objects()))
    assert gate.puts == []


MANY_YAML = DVC_YAML.split("  fit:")[0]
MANY_SPLIT = SPLIT + f"\nfor n in range({MANY}):\n    (folder.parent / f'{{n:03d}}.txt').write_text(f'{{n}}')\n"


@pytest.fixture(scope="module")
def many(stack, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - the connections have to be defined
    """An attempt with hundreds of small objects. To be copied."""
    with pytest.MonkeyPatch.context() as patch:
        pipeline = Pipeline.start(tmp_path_factory.mktemp("many"), "many", deployment_dvc, patch)
        attempt = pipeline.attempt(files={"dvc.yaml": MANY_YAML, "split.py": MANY_SPLIT})
        attempt.repro()
    return attempt


@pytest.mark.slow
def test_a_push_killed_half_way_sends_only_what_is_missing_when_it_is_retried(many, gate, either_s3, tmp_path, place):
    attempt, half = many.copy(tmp_path, place), MANY // 2
    objects = attempt.objects()
    gate.hold_after(half)
    child = subprocess.Popen(
        [attempt.program.program, "push", "--remote", "retrain", "--jobs", "4"],
        cwd=attempt.checkout,
        env=attempt.program.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: gate.holding.is_set() or child.poll() is not None, "half of the objects arrive")
        wait_until(lambda: len(gate.puts) >= half, "what was let pass is answered")
        for process in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
            process.kill()
        assert child.wait(10) == -9
    finally:
        end(child.pid)
    gate.release()
    arrived = set(store.list_objects(either_s3, place))
    assert len(arrived) == half

    proven = attempt.prove()
    assert sorted(written(gate, place)[half:]) == sorted(set(wanted(objects)) - arrived)
    assert (proven.sent, proven.healed) == (len(objects) - half, 0)
    assert stored(either_s3, place) == wanted(objects)


@pytest.mark.parametrize(
    ("count", "method"), [pytest.param(2, "*", id="from the start"), pytest.param(3, "PUT", id="to what is written")]
)
def test_a_bucket_that_is_busy_for_a_while_only_delays_the_proof(attempt, gate, either_s3, count, method):
    gate.refuse(count, method)
    attempt.prove()
    assert stored(either_s3, attempt.remote) == wanted(attempt.objects())


def test_a_bucket_that_heals_between_503s_is_waited_for(attempt, gate, either_s3):
    seed(either_s3, attempt)
    flip(either_s3, at(attempt.remote, attempt.named(MODEL).key))
    gate.refuse(2, "PUT")
    assert attempt.prove().healed == 1


@pytest.fixture
def impatient(monkeypatch):
    """Our own client gives up after two tries."""
    config = connections._AWS.merge(type(connections._AWS)(retries={"mode": "standard", "max_attempts": 2}))
    monkeypatch.setattr(connections, "_AWS", config)


@pytest.mark.usefixtures("impatient")
def test_a_bucket_that_is_busy_for_ever_fails_with_the_action_and_the_place(attempt, gate):
    gate.refuse(FOR_EVER)
    with pytest.raises(StoreError, match=rf"503 to HeadObject on {attempt.remote}/\S+\. Clear the task"):
        attempt.prove()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_bucket_that_takes_no_writes_for_ever_fails_with_the_action_within_bounds(attempt, gate, either_s3):
    seed(either_s3, attempt)
    lose(either_s3, at(attempt.remote, attempt.named(MODEL).key))
    gate.refuse(FOR_EVER, "PUT")
    hurried = replace(attempt.program, environment={**attempt.program.environment, **IMPATIENT})
    with pytest.raises(PushError, match=rf"dvc push to {attempt.remote} failed: S3 answered SlowDown to PutObject"):
        replace(attempt, program=hurried).prove()


@pytest.fixture
def role(either_server, gate, connection, place):
    """Gives Airflow's connection to an account with some permissions on the test's place, and no others."""
    if either_server.name != "ministack":
        pytest.skip("moto's server does not enforce IAM policies")
    admin = either_server.client("iam")
    admin.create_user(UserName="robot")
    key = admin.create_access_key(UserName="robot")["AccessKey"]

    def allow(*actions):
        bucket, prefix = store.split(place)
        statement = {
            "Effect": "Allow",
            "Action": [f"s3:{action}" for action in actions],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{prefix}/*"],
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        admin.put_user_policy(UserName="robot", PolicyName="some", PolicyDocument=document)
        account = replace(either_server, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
        connect(connection, gate.url, account)

    yield allow
    admin.delete_user_policy(UserName="robot", PolicyName="some")
    admin.delete_access_key(UserName="robot", AccessKeyId=key["AccessKeyId"])
    admin.delete_user(UserName="robot")


READ = ("ListBucket", "GetObject")


def test_a_role_that_may_not_read_is_told_so_with_the_place(reproduced, role, tmp_path, place):
    role("PutObject")
    expected = rf"403 to HeadObject on {place}/\S+\. Give the role this permission, and s3:ListBucket"
    with pytest.raises(StoreError, match=expected):
        reproduced.copy(tmp_path, place).prove()


def test_a_role_that_may_not_write_is_told_so_with_the_place(reproduced, role, tmp_path, place):
    role(*READ)
    with pytest.raises(
        PushError, match=rf"dvc push to {place} failed: S3 answered AccessDenied to PutObject\..*Give the role this"
    ):
        reproduced.copy(tmp_path, place).prove()


def test_a_role_that_may_not_heal_is_told_so_with_the_object(reproduced, role, tmp_path, place, either_s3):
    role(*READ)
    attempt = reproduced.copy(tmp_path, place)
    seed(either_s3, attempt)
    key = attempt.named(MODEL).key
    cut(either_s3, at(place, key))
    with pytest.raises(
        StoreError, match=rf"AccessDenied to PutObject on {place}/{key}\. Give the role this permission"
    ):
        attempt.prove()


# From here on the objects are made by hand, and are on the remote already: `dvc push` has nothing to do with it.


def made(folder, contents):
    """Objects in a cache, as DVC keeps them."""
    objects = [CachedObject(md5(content), "made", f"out/{number}") for number, content in enumerate(contents)]
    for item, content in zip(objects, contents, strict=True):
        (folder / item.key).parent.mkdir(parents=True, exist_ok=True)
        (folder / item.key).write_bytes(content)
    return objects


def put(s3, url, folder, objects):
    for item in objects:
        s3.put_object(**at(url, item.key), Body=(folder / item.key).read_bytes())


def put_in_parts(s3, url, key, content, **options):
    """5 MiB, the least that S3 takes, and the rest."""
    where = at(url, key)
    upload = s3.create_multipart_upload(**where, **options)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in enumerate((content[: 5 * MEBIBYTE], content[5 * MEBIBYTE :]), 1)
    ]
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(**where)["ETag"].endswith('-2"')


def nothing():
    """A push with nothing to send."""


def prove(url, objects, cache, earlier=None, push=nothing, **settings):
    remote = Remote(Aws("aws_default").client(), url, **settings)
    return push_and_prove(push, remote, objects, cache, earlier or {})


def reads(gate):
    return [path for method, path in gate.passed if method == "GET" and "/files/md5/" in path]


LARGE = bytes(range(256)) * (5 * MEBIBYTE // 256) + b"."


def test_a_multipart_object_that_is_here_is_read_only_where_the_store_does_not_tell_its_parts(
    gate, either_server, either_s3, tmp_path, place
):
    (item,) = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, item.key, LARGE)
    (proof,) = prove(place, [item], tmp_path).receipt.proofs
    told = either_server.name == "moto"  # ministack does not answer HEAD with a part number
    assert (proof.proven_by, len(reads(gate))) == ((ProvenBy.PARTS, 0) if told else (ProvenBy.READ, 1))
    assert gate.puts == []


def test_a_multipart_object_that_is_not_here_is_read_once_and_then_known(gate, either_s3, tmp_path, place):
    (item,) = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, item.key, LARGE)
    (tmp_path / item.key).unlink()
    first = prove(place, [item], tmp_path)
    assert [proof.proven_by for proof in first.receipt.proofs] == [ProvenBy.READ]
    assert len(reads(gate)) == 1
    second = prove(place, [item], tmp_path, first.receipt.by_key)
    assert [proof.proven_by for proof in second.receipt.proofs] == [ProvenBy.EARLIER]
    assert second.requests == 1
    assert len(reads(gate)) == 1


def test_a_wrong_multipart_object_is_healed(gate, either_s3, tmp_path, place):
    (item,) = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, item.key, b"?" + LARGE[1:])
    proven = prove(place, [item], tmp_path)
    assert (proven.healed, [p.proven_by for p in proven.receipt.proofs]) == (1, [ProvenBy.ETAG])
    assert written(gate, place) == [item.key]
    assert stored(either_s3, place) == wanted([item])


def test_a_wrong_multipart_object_that_is_not_here_is_lost(gate, either_s3, tmp_path, place):
    (item,) = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, item.key, b"?" + LARGE[1:])
    (tmp_path / item.key).unlink()
    with pytest.raises(LostObjectError, match=item.key):
        prove(place, [item], tmp_path)
    assert gate.puts == []


def test_a_multipart_object_that_was_replaced_since_is_looked_into_again(gate, either_s3, tmp_path, place):  # noqa: ARG001
    (item,) = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, item.key, LARGE)
    first = prove(place, [item], tmp_path)
    put_in_parts(either_s3, place, item.key, b"?" + LARGE[1:])
    assert prove(place, [item], tmp_path, first.receipt.by_key).healed == 1


def test_a_multipart_object_with_checksums_is_proven_and_a_wrong_one_healed(gate, either_s3, tmp_path, place):  # noqa: ARG001
    good, bad = made(tmp_path, [LARGE, LARGE[1:] + b"!"])
    for item, content in ((good, LARGE), (bad, LARGE)):
        put_in_parts(either_s3, place, item.key, content, ChecksumAlgorithm="SHA256")
    proven = prove(place, [good, bad], tmp_path)
    assert proven.healed == 1
    assert proven.receipt.by_key[bad.key].proven_by == ProvenBy.ETAG
    assert stored(either_s3, place) == wanted([good, bad])


def test_a_large_object_is_healed_in_parts_and_proven(gate, either_server, either_s3, tmp_path, place):
    """Above 5 GiB there is no other way; here the threshold is lower."""
    (item,) = made(tmp_path, [LARGE])
    proven = prove(place, [item], tmp_path, upload_part=5 * MEBIBYTE)
    (proof,) = proven.receipt.proofs
    assert proof.etag.endswith("-2")
    told = either_server.name == "moto"  # ministack does not answer HEAD with a part number
    assert (proven.healed, proof.proven_by) == (1, ProvenBy.PARTS if told else ProvenBy.READ)
    assert stored(either_s3, place) == wanted([item])
    assert proven.requests == len(gate.passed)
    second = prove(place, [item], tmp_path, proven.receipt.by_key)
    assert [p.proven_by for p in second.receipt.proofs] == [ProvenBy.EARLIER]


def test_what_was_asked_is_counted_right_when_threads_ask(gate, tmp_path, place, either_s3):
    objects = made(tmp_path, [f"{number}".encode() for number in range(200)])
    put(either_s3, place, tmp_path, objects)
    asked = Remote(Aws("aws_default").client(), place)
    before = len(gate.passed)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(asked.details, [item.key for item in objects]))
    assert asked.requests == len(gate.passed) - before == len(objects)


DAY, ADDED = 300, 5


@pytest.mark.usefixtures("gate")
def test_a_second_day_costs_a_request_per_object_and_sends_what_it_added(gate, either_s3, tmp_path, place):
    objects = made(tmp_path, [f"{number}".encode() for number in range(DAY)])
    put(either_s3, place, tmp_path, objects)
    large = made(tmp_path, [LARGE])
    put_in_parts(either_s3, place, large[0].key, LARGE)
    first = prove(place, [*objects, *large], tmp_path)
    new = made(tmp_path, [f"new {number}".encode() for number in range(ADDED)])
    before = len(gate.passed)
    second = prove(
        place,
        [*objects, *large, *new],
        tmp_path,
        first.receipt.by_key,
        push=lambda: put(either_s3, place, tmp_path, new),
    )
    assert len(gate.passed) - before == second.requests == len([*objects, *large, *new]) + ADDED
    by = [proof.proven_by for proof in second.receipt.proofs]
    assert (by.count(ProvenBy.EARLIER), by.count(ProvenBy.ETAG)) == (DAY + 1, ADDED)
    assert (second.sent, second.healed) == (ADDED, 0)


def test_what_an_earlier_receipt_proved_and_was_spoilt_since_is_sent_again(gate, either_s3, tmp_path, place):
    objects = made(tmp_path, [b"gone", b"cut", b"flipped", b"good"])
    put(either_s3, place, tmp_path, objects)
    first = prove(place, objects, tmp_path)
    for spoil, item in zip((lose, cut, flip), objects, strict=False):
        spoil(either_s3, at(place, item.key))
    second = prove(place, objects, tmp_path, first.receipt.by_key)
    assert sorted(written(gate, place)) == sorted(item.key for item in objects[:3])
    assert stored(either_s3, place) == wanted(objects)
    by = {key: proof.proven_by for key, proof in second.receipt.by_key.items()}
    assert by == {**dict.fromkeys(wanted(objects), ProvenBy.ETAG), objects[3].key: ProvenBy.EARLIER}


def test_a_store_too_large_to_list_is_looked_at_object_by_object_with_the_same_answer(gate, either_s3, tmp_path, place):
    others = made(tmp_path, [f"another run's {number}".encode() for number in range(100)])
    objects = made(tmp_path, [f"{number}".encode() for number in range(24)])
    put(either_s3, place, tmp_path, [*others, *objects[2:]])
    cut(either_s3, at(place, objects[5].key))
    client = Aws("aws_default").client()
    keys = [item.key for item in objects]
    listed = Remote(client, place)
    whole = {key: (seen.size, seen.etag) for key, seen in listed.look(keys).items()}
    looked = Remote(client, place, page_size=10)
    single = {key: (seen.size, seen.etag) for key, seen in looked.look(keys).items()}
    assert single == whole
    assert set(whole) == set(keys[2:])
    assert listed.requests == 1
    assert 2 < looked.requests <= 2 + len(keys)
    assert [method for method, _ in gate.passed].count("HEAD") == looked.requests - 2


@pytest.mark.usefixtures("gate")
def test_what_else_the_remote_holds_costs_a_push_no_requests(either_s3, tmp_path, place):
    objects = made(tmp_path, [f"{number}".encode() for number in range(24)])
    others = made(tmp_path, [f"another run's {number}".encode() for number in range(100)])
    put(either_s3, place, tmp_path, objects[2:])
    alone = prove(place, objects[2:], tmp_path, page_size=10).requests
    put(either_s3, place, tmp_path, others)
    assert prove(place, objects[2:], tmp_path, page_size=10).requests == alone == len(objects[2:])


def test_of_many_objects_on_the_remote_only_the_spoilt_and_the_missing_are_sent(gate, either_s3, tmp_path, place):
    others = made(tmp_path, [f"another run's {number}".encode() for number in range(100)])
    objects = made(tmp_path, [f"{number}".encode() for number in range(24)])
    put(either_s3, place, tmp_path, [*others, *objects[2:]])
    cut(either_s3, at(place, objects[5].key))
    proven = prove(place, objects, tmp_path, push=lambda: put(either_s3, place, tmp_path, objects[:2]), page_size=10)
    assert (proven.sent, proven.healed) == (2, 1)
    assert written(gate, place) == [objects[5].key]


def test_a_push_that_sends_nothing_is_made_good_object_by_object(gate, either_s3, tmp_path, place):
    objects = made(tmp_path, [b"a", b"b"])
    assert set(prove(place, objects, tmp_path).receipt.by_key) == set(wanted(objects))
    assert sorted(written(gate, place)) == sorted(wanted(objects))
    assert stored(either_s3, place) == wanted(objects)


@pytest.mark.parametrize("spoil", [cut, lose])
def test_what_somebody_else_spoils_again_at_once_is_never_proven(gate, either_s3, tmp_path, place, spoil):
    (item,) = made(tmp_path, [b"content"])

    def meddle(path):
        spoil(either_s3, dict(zip(("Bucket", "Key"), path.split("/", 1), strict=True)))

    gate.after_put = meddle
    with pytest.raises(UnprovenPushError, match=rf"1 of 1 objects .* on {place}, .*out/0 \(stage made, {item.key}\)"):
        prove(place, [item], tmp_path)
