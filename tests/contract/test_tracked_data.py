"""Data that .dvc files and frozen stages track, fetched from real servers of the team's own, proven, recorded, restored and replayed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from foreign_pipeline import PIPELINE
from gate import gate_to
from tracking_team import CONTENT, DVC_YAML, NEXT, RAW, RAW_FILE, TeamRemote, TrackingTeam, config, md5, read, tracked

from retrain.archive import prune
from retrain.commands.command_line import parser
from retrain.errors import RetrainError
from retrain.inputs import errors
from retrain.tasks.push import push

BYTES = CONTENT.encode()
FOLDER = {"a.csv": b"1\n", "deep/b.csv": b"2\r\n"}


@pytest.fixture
def remote(tmp_path):
    (tmp_path / "remote").mkdir()
    with TeamRemote.open(tmp_path / "remote") as open_remote:
        yield open_remote


@pytest.fixture
def team(s3_server, environments, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - S3 has to be up
    return TrackingTeam.start(tmp_path, request.node.name, environments, deployment_dvc, monkeypatch)


def one_file(remote, **more):
    """The files of a release that tracks one file on the remote."""
    return {RAW_FILE: tracked("raw.csv", remote.put(BYTES), **more), ".dvc/config": config(remote.url)}


def answer(*arguments):
    options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
    found = options.command(options)
    assert found.well, found.lines
    return found.document


def two_inputs(remote):
    """The files of a release that tracks a file and a folder, and further data that no stage needs and no remote has."""
    return one_file(remote) | {
        "data/parts.dvc": tracked("parts", remote.put_folder(FOLDER)),
        "notes.txt.dvc": tracked("notes.txt", md5(b"not pushed\n")),
    }


def test_tracked_data_is_pushed_with_proof_and_another_machine_does_not_need_the_team_s_remote(team, remote):
    tag = team.release(two_inputs(remote), f"{RAW} data/parts")
    run, reproduced = team.reproduce(tag)
    pushed = push(team.services, run, reproduced)
    assert (pushed.objects, pushed.sent, pushed.healed) == (5, 5, 0)
    asked = list(remote.asked)
    team.lose_the_caches()
    remote.status = 500
    checkout, brought = team.bring(tag)
    assert (checkout / RAW).read_bytes() == BYTES
    assert {name: (checkout / "data/parts" / name).read_bytes() for name in FOLDER} == FOLDER
    assert brought.lines[0] == f"data/parts: 2 files, 5 bytes from our store, {team.deployment.store}"
    assert remote.asked == asked


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("mlflow_server")
def test_a_recorded_day_is_restored_replayed_verified_and_kept_with_the_team_s_remote_switched_off(
    team, remote, tmp_path
):
    record, _ = team.run(team.release(two_inputs(remote), f"{RAW} data/parts"))
    assert sorted(record.outputs) == ["model.json"]
    asked = list(remote.asked)
    team.lose_the_caches()
    remote.status = 500
    to = tmp_path / "restored"
    answer("restore", record.partition, str(to), "--no-environment")
    assert (to / RAW).read_bytes() == BYTES
    assert {name: (to / "data/parts" / name).read_bytes() for name in FOLDER} == FOLDER
    assert answer("replay", record.partition)["same"]
    assert answer("verify", record.partition)["proven"] == 5
    later = datetime.now(UTC) + prune.GRACE + timedelta(hours=1)
    assert prune.plan(team.services.ledger, team.services.remote, PIPELINE, 1, later).remove == {}
    assert remote.asked == asked


def test_a_second_day_takes_tracked_data_from_the_cache_and_puts_a_corrupt_file_of_it_aside(team, remote):
    tag = team.release(one_file(remote))
    _, first = team.reproduce(tag)
    assert first.prepared[-1] == f"data/raw.csv: 1 file, {len(BYTES)} bytes from remote theirs, {remote.url}"
    remote.asked.clear()
    _, second = team.reproduce(tag, NEXT)
    assert (read(second, RAW), second.prepared[1:], remote.asked) == (BYTES, (), [])
    cached = team.folder / "home/cache" / PIPELINE / "files/md5" / md5(BYTES)[:2] / md5(BYTES)[2:]
    cached.chmod(0o644)
    cached.write_bytes(b"spoilt")
    checkout, _ = team.bring(tag)
    assert ((checkout / RAW).read_bytes(), cached.read_bytes()) == (BYTES, BYTES)
    assert len(list(cached.parent.glob("*.corrupt-*"))) == 1


def test_dvc_s_own_add_import_and_import_url_are_fetched_from_the_remote_and_from_their_sources(
    team, remote, tmp_path, monkeypatch
):
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    other = tmp_path / "other"
    other.mkdir()
    team.dvc_in(other, "git init -q .", "dvc init -q", f"dvc remote add -q -d shelf {remote.url}")
    (other / "model.bin").write_bytes(b"a model\n")
    (other / "labels.txt").write_text("in Git\n")
    team.dvc_in(
        other,
        "dvc add -q model.bin",
        f"dvc remote add -q --local there {remote.folder}",
        "dvc push -q -r there",
        "git add -A",
        "git commit -qm 1",
    )
    (remote.folder / "published.csv").write_bytes(b"published\n")
    clone = team.origin.clone
    team.dvc_in(
        clone, "dvc init -q", f"dvc remote add -q -d theirs {remote.url}", f"dvc remote add -q --local there {remote.folder}",
        "mkdir -p data/raw",
    )  # fmt: skip
    for name, body in FOLDER.items():
        (clone / "data/raw" / name).parent.mkdir(exist_ok=True)
        (clone / "data/raw" / name).write_bytes(body)
    team.dvc_in(
        clone, "dvc add -q data/raw", f"dvc import -q {other} model.bin -o data/model.bin", f"dvc import -q {other} labels.txt -o data/labels.txt",
        f"dvc import-url -q {remote.url}/published.csv data/published.csv", "dvc push -q -r there data/raw.dvc",
    )  # fmt: skip
    (other / "model.bin").write_bytes(b"another model\n")
    (other / "labels.txt").write_text("changed\n")
    team.dvc_in(other, "dvc add -q model.bin", "dvc push -q -r there", "git add -A", "git commit -qm 2")
    tag = team.release({}, "data/raw data/model.bin data/labels.txt data/published.csv")
    team.require_there(tag)
    checkout, brought = team.bring(tag)
    read_back = {
        name: (checkout / "data" / name).read_bytes()
        for name in ("model.bin", "labels.txt", "published.csv", "raw/a.csv")
    }
    assert read_back == {
        "model.bin": b"a model\n",
        "labels.txt": b"in Git\n",
        "published.csv": b"published\n",
        "raw/a.csv": b"1\n",
    }
    assert [line.partition(" from ")[2].partition(",")[0] for line in brought.lines] == [
        "where it was imported"
    ] * 3 + ["remote theirs"]
    assert brought.description.missing == ("model.json",)


def test_data_of_dvc_2_is_verified_by_its_own_hash_kept_under_its_true_md5_and_fetched_once(team, remote):
    files = {
        RAW_FILE: tracked("raw.csv", remote.put(BYTES, legacy=True), legacy=True),
        "data/parts.dvc": tracked("parts", remote.put_folder(FOLDER, legacy=True), legacy=True),
        ".dvc/config": config(remote.url),
    }
    tag = team.release(files, f"{RAW} data/parts")
    team.require_there(tag)
    checkout, brought = team.bring(tag)
    assert (checkout / RAW).read_bytes() == BYTES
    assert (checkout / "data/parts/deep/b.csv").read_bytes() == FOLDER["deep/b.csv"]
    listing = json.dumps([{"md5": md5(body), "relpath": path} for path, body in FOLDER.items()]).encode()
    assert {each.path: each.md5 for each in brought.description.stored} == {
        RAW: md5(BYTES),
        "data/parts": f"{md5(listing)}.dir",
    }
    remote.asked.clear()
    again, _ = team.bring(tag)
    assert ((again / RAW).read_bytes(), remote.asked) == (BYTES, [])


FROZEN = """
stages:
  get:
    cmd: exit 1
    deps: [gone.py]
    outs: [data/raw.csv]
    frozen: true
""" + DVC_YAML.format(paths=RAW, deps=f"train.py, {RAW}").replace("\nstages:\n", "")


@pytest.mark.parametrize("legacy", [False, True], ids=["of DVC 3", "of DVC 2"])
def test_a_frozen_stage_s_output_is_fetched_by_its_dvc_lock(team, remote, legacy):
    form = "" if legacy else "\n      hash: md5"
    lock = f"schema: '2.0'\nstages:\n  get:\n    cmd: exit 1\n    outs:\n    - path: {RAW}{form}\n      md5: {remote.put(BYTES, legacy=legacy)}\n      size: 1\n"
    tag = team.release({".dvc/config": config(remote.url), "gone.py": "", "dvc.yaml": FROZEN, "dvc.lock": lock})
    _, done = team.reproduce(tag)
    assert (read(done, RAW), done.executed) == (BYTES, ["train"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [f"dvc unfreeze {RAW_FILE}", f"sed -i /^md5:/d {RAW_FILE}"], ids=["unfrozen", "edited"]
)
def test_an_import_is_never_updated_and_its_source_is_asked_once(team, remote, change):
    """Not frozen, or without DVC's MD5 of its .dvc file: `dvc repro` would look at the source each time."""
    (remote.folder / "published.csv").write_bytes(BYTES)
    team.dvc_in(
        team.origin.clone, "mkdir -p data", "dvc init -q", f"dvc import-url -q {remote.url}/published.csv {RAW}", change
    )  # fmt: skip
    tag = team.release({})
    remote.asked.clear()
    _, first = team.reproduce(tag)
    assert remote.asked == ["GET /published.csv"]
    (remote.folder / "published.csv").write_bytes(b"newer\n")
    _, second = team.reproduce(tag, NEXT)
    assert (read(first, RAW), read(second, RAW)) == (BYTES, BYTES)
    assert remote.asked == ["GET /published.csv"]


@pytest.mark.slow
def test_a_stage_that_changes_its_tracked_input_fails_by_name(team, remote):
    tag = team.release(
        one_file(remote) | {"train.py": "open('data/raw.csv', 'a').write('x'); open('model.json', 'w').write('1')\n"}
    )
    with pytest.raises(errors.TrackedChangedError, match=r"has changed data/raw\.csv, which data/raw\.csv\.dvc tracks"):
        team.reproduce(tag)


CHANGED = """
stages:
  spoil:
    cmd: echo x >> data/raw.csv && echo 1 > fetched.txt
    deps: [data/raw.csv]
    outs: [fetched.txt]
  train:
    cmd: cat data/raw.csv fetched.txt params.yaml > model.json
    deps: [data/raw.csv, fetched.txt]
    params: [day]
    outs: [model.json]
"""


@pytest.mark.slow
def test_a_stage_that_changes_its_tracked_input_before_another_call_of_dvc_repro_fails_by_name(team, remote):
    """DVC then finds the changed file, and takes its new content for that of the .dvc file."""
    team.write_file("fetch: [spoil]\n")
    tag = team.release(one_file(remote) | {"dvc.yaml": CHANGED})
    with pytest.raises(errors.TrackedChangedError, match=r"has changed data/raw\.csv, which data/raw\.csv\.dvc tracks"):
        team.reproduce(tag)


@pytest.mark.slow
def test_each_output_comes_from_the_remote_that_it_names(team, remote, tmp_path):
    (tmp_path / "second").mkdir()
    with TeamRemote.open(tmp_path / "second") as second:
        files = {
            RAW_FILE: tracked("raw.csv", remote.put(BYTES)),
            "data/more.csv.dvc": tracked("more.csv", second.put(b"more\n"), more=", remote: Second"),
            ".dvc/config": config(remote.url) + config(second.url, "second", default=False),
        }
        checkout, _ = team.bring(team.release(files, f"{RAW} data/more.csv"))
        assert (checkout / "data/more.csv").read_bytes() == b"more\n"
        assert (len(remote.asked), len(second.asked)) == (1, 1)


HTTP = {
    "a login": ({"conn_type": "http", "login": "team", "password": "pass-word"}, {"login": "team:pass-word"}),
    "a header": ({"conn_type": "http", "extra": {"X-Token": "to-ken"}}, {"header": ("X-Token", "to-ken")}),
    "DVC's own options": (
        {"conn_type": "generic", "extra": {"dvc": {"auth": "basic", "user": "team", "password": "pass-word"}}},
        {"login": "team:pass-word"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("fields", "wanted"), HTTP.values(), ids=HTTP)
def test_a_remote_gets_the_credentials_of_its_connection_and_nobody_else_does(
    team, remote, connection, caplog, capfd, fields, wanted
):
    for name, value in wanted.items():
        setattr(remote, name, value)
    team.write_file(f"remotes: {{theirs: {{connection: {connection('their_http', **fields)}}}}}\n")
    tag = team.release(
        one_file(remote) | {"train.py": "import os\nopen('model.json', 'w').write(str(sorted(os.environ.items())))\n"}
    )
    _, done = team.reproduce(tag)
    assert read(done, RAW) == BYTES
    places = [
        caplog.text,
        *capfd.readouterr(),
        read(done, "model.json").decode(),
        read(done, ".dvc/config.local").decode(),
    ]
    assert [text for text in places if "pass-word" in text or "to-ken" in text] == []


def wrong_login(team, remote, connection):
    remote.login = "team:pass-word"
    team.write_file(
        f"remotes: {{theirs: {{connection: {connection('their_http', conn_type='http', login='team', password='wrong-word')}}}}}\n"
    )
    return one_file(remote)


def no_login(_team, remote, _connection):
    remote.login = "team:pass-word"
    return one_file(remote)


def absent(_team, remote, _connection):
    return one_file(remote) | {RAW_FILE: tracked("raw.csv", md5(b"never pushed"))}


def member_absent(_team, remote, _connection):
    listing = remote.put_folder(FOLDER)
    name = md5(FOLDER["a.csv"])
    (remote.folder / "files/md5" / name[:2] / name[2:]).unlink()
    return {RAW_FILE: tracked("raw.csv", listing), ".dvc/config": config(remote.url)}


def cut(_team, remote, _connection):
    remote.cut = True
    return one_file(remote)


def spoilt(_team, remote, _connection):
    remote.spoilt = True
    return one_file(remote)


def broken(_team, remote, _connection):
    remote.status = 500
    return one_file(remote)


def unreachable(_team, remote, _connection):
    return one_file(remote) | {".dvc/config": config("http://127.0.0.1:9")}


def no_remote(_team, remote, _connection):
    return one_file(remote) | {".dvc/config": ""}


def no_default(_team, remote, _connection):
    return one_file(remote) | {
        ".dvc/config": config(remote.url, default=False) + config(remote.url, "second", default=False)
    }


def unknown_remote(_team, remote, _connection):
    return one_file(remote, more=", remote: elsewhere")


def somebody_s_disk(_team, remote, _connection):
    return one_file(remote) | {".dvc/config": config("/home/somebody/dvc-store")}


def no_extra(_team, remote, _connection):
    return one_file(remote) | {".dvc/config": config("gs://bucket/dvc")}


def other_kind(team, remote, connection):
    team.write_file(f"remotes: {{theirs: {{connection: {connection('their_ssh', conn_type='ssh', login='team')}}}}}\n")
    return one_file(remote)


def no_such_option(team, remote, connection):
    extra = {"dvc": {"colour": "blue"}}
    team.write_file(f"remotes: {{theirs: {{connection: {connection('their_http', conn_type='http', extra=extra)}}}}}\n")
    return one_file(remote)


def no_connection(team, remote, _connection):
    team.write_file("remotes: {theirs: {connection: nobody}}\n")
    return one_file(remote)


def no_hash(_team, remote, _connection):
    return one_file(remote) | {
        RAW_FILE: f"deps: [{{path: {remote.url}/x.csv}}]\nouts: [{{path: raw.csv, hash: md5}}]\nfrozen: true\n"
    }


REFUSED = [
    (wrong_login, errors.RemoteDeniedError, ["Remote theirs (http://127", "connection their_http", "401", "Correct the keys"]),
    (no_login, errors.RemoteDeniedError, ["401", "without credentials", "`remotes: {theirs: {connection: ID}}`"]),
    (absent, errors.NotOnRemoteError, ["Remote theirs (http://127", "dvc push", "`inputs: [{path: data/raw.csv}]`"]),
    (member_absent, errors.NotOnRemoteError, ["Remote theirs"]),
    (cut, errors.RemoteDamagedError, ["Remote theirs", "None of it is kept"]),
    (spoilt, errors.RemoteDamagedError, ["Remote theirs", "17 bytes with the MD5"]),
    (broken, errors.RemoteUnreachableError, ["Remote theirs", "500"]),
    (unreachable, errors.RemoteUnreachableError, ["Remote theirs (http://127.0.0.1:9)", "does not answer"]),
    (no_remote, errors.NoRemoteError, ["has no DVC remote", "dvc remote add --default"]),
    (no_default, errors.NoRemoteError, ["theirs, second", "dvc remote default"]),
    (unknown_remote, errors.NoRemoteError, ["names the remote elsewhere", "theirs"]),
    (somebody_s_disk, errors.LocalRemoteError, ["/home/somebody/dvc-store", "S3"]),
    (no_extra, errors.RemoteExtraError, ["dvc[gs]", "RETRAIN_DVC_EXTRAS=gs"]),
    (other_kind, errors.RemoteOptionError, ["connection their_ssh", "connection of another type"]),
    (no_such_option, errors.RemoteOptionError, ["connection their_http", "no option colour"]),
    (no_connection, errors.RemoteConnectionError, ["remotes.theirs", "nobody", "does not exist"]),
    (no_hash, errors.UnhashedInputError, ["data/raw.csv.dvc has no MD5", "dvc update"]),
]  # fmt: skip


QUICK = (wrong_login, cut, no_remote)
KINDS = [
    pytest.param(*each, id=each[0].__name__, marks=() if each[0] in QUICK else pytest.mark.slow) for each in REFUSED
]


@pytest.mark.parametrize(("prepare", "error", "said"), KINDS)
def test_data_that_cannot_be_had_is_refused_with_file_remote_and_next_step(
    team, remote, connection, prepare, error, said
):
    tag = team.release(prepare(team, remote, connection))
    with pytest.raises(RetrainError) as caught:
        team.bring(tag)
    assert type(caught.value) is error, str(caught.value)
    text = str(caught.value)
    names = [] if error is errors.RemoteConnectionError else [tag, RAW, RAW_FILE, "stage train"]
    assert [part for part in [*names, *said] if part not in text] == [], text
    assert "-word" not in text
    assert [path for path in (team.folder / "home/cache" / PIPELINE / "files").rglob("*") if path.is_file()] == []
    if prepare not in (cut, spoilt):  # these answer a question well
        with pytest.raises(error):
            team.require_there(tag)


def changed_import(_team, remote, _connection):
    (remote.folder / "published.csv").write_bytes(b"newer\n")
    return imported(remote)


def gone_import(_team, remote, _connection):
    return imported(remote)


def imported(remote):
    """A release with data that was imported from an address and is on no remote."""
    source = f"deps: [{{path: '{remote.url}/published.csv'}}]\nfrozen: true\n"
    return {RAW_FILE: source + tracked("raw.csv", md5(BYTES)), ".dvc/config": ""}


def gone_revision(team, _remote, _connection):
    other = team.folder / "other"
    other.mkdir()
    (other / "raw.csv").write_bytes(BYTES)
    team.dvc_in(other, "git init -q .", "dvc init -q", "git add -A", "git commit -qm 1")
    repo = f"repo: {{url: {other}, rev_lock: {'a' * 40}}}"
    return {
        RAW_FILE: f"deps: [{{path: raw.csv, {repo}}}]\nfrozen: true\n" + tracked("raw.csv", md5(BYTES)),
        ".dvc/config": "",
    }


IMPORTS = [
    (changed_import, errors.ImportChangedError, ["published.csv has other content now", md5(b"newer\n"), "dvc update data/raw.csv.dvc"]),
    (gone_import, errors.ImportGoneError, ["published.csv does not have it any more", "dvc push"]),
    (gone_revision, errors.RevisionGoneError, ["does not have the imported revision any more", "aaaaaaa"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("prepare", "error", "said"), IMPORTS, ids=[each[0].__name__ for each in IMPORTS])
def test_an_import_is_accepted_only_with_its_recorded_content(team, remote, connection, prepare, error, said):
    tag = team.release(prepare(team, remote, connection))
    with pytest.raises(RetrainError) as caught:
        team.bring(tag)
    assert type(caught.value) is error, str(caught.value)
    assert [part for part in [tag, RAW, RAW_FILE, "stage train", *said] if part not in str(caught.value)] == []


@pytest.fixture
def theirs(s3_server, bucket):  # noqa: ARG001 - it has to be up
    """A bucket of the team's that keeps versions."""
    return bucket(versioned=True)


def at(md5):
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"


def test_an_s3_remote_is_read_with_the_pipeline_s_connection_or_with_its_own(team, s3, theirs, s3_server, connection):
    s3.put_object(Bucket=theirs, Key=at(md5(BYTES)), Body=BYTES)
    files = {RAW_FILE: tracked("raw.csv", md5(BYTES)), ".dvc/config": config(f"s3://{theirs}/dvc")}
    tag = team.release(files)
    checkout, _ = team.bring(tag)
    assert (checkout / RAW).read_bytes() == BYTES
    secrets = s3_server.secrets
    own = connection(
        "their_aws",
        conn_type="aws",
        login=secrets.s3_access_key,
        password=secrets.s3_secret_key,
        extra={"endpoint_url": s3_server.s3_url, "region_name": "eu-west-1"},
    )
    team.write_file(f"remotes: {{theirs: {{connection: {own}}}}}\n")
    team.lose_the_caches()
    checkout, brought = team.bring(tag)
    assert brought.lines == (f"data/raw.csv: 1 file, 17 bytes from remote theirs, s3://{theirs}/dvc",)


REFUSAL = "<?xml version='1.0'?><Error><Code>{0}</Code><Message>no</Message></Error>"


@pytest.mark.parametrize(
    ("code", "error"),
    [("InvalidAccessKeyId", errors.RemoteDeniedError), ("AccessDenied", errors.RemoteDeniedError)],
)
def test_keys_that_s3_refuses_are_told_with_the_connection_and_the_action(
    team, s3_server, theirs, connection, code, error
):
    with gate_to(s3_server.s3_url) as gate:
        gate.own_answer = lambda *_: (403, REFUSAL.format(code))
        own = connection(
            "their_aws", conn_type="aws", login="AKIAWRONG", password="wrong-word", extra={"endpoint_url": gate.url}
        )
        team.write_file(f"remotes: {{theirs: {{connection: {own}}}}}\n")
        files = {RAW_FILE: tracked("raw.csv", f"{md5(b'[]')}.dir"), ".dvc/config": config(f"s3://{theirs}/dvc")}
        tag = team.release(files)
        for ask in (team.bring, team.require_there):
            with pytest.raises(error) as caught:
                ask(tag)
            text = str(caught.value)
            names = (
                f"Remote theirs (s3://{theirs}/dvc) refused connection their_aws",
                code,
                "GetObject",
                "connection their_aws",
            )
            assert [name for name in names if name not in text] == [], text
            assert "wrong-word" not in text


@pytest.mark.slow
def test_a_remote_that_keeps_versions_gives_the_recorded_version(team, s3, theirs):
    old = s3.put_object(Bucket=theirs, Key="dvc/data/parts/a.csv", Body=b"1\n")["VersionId"]
    s3.put_object(Bucket=theirs, Key="dvc/data/parts/a.csv", Body=b"newer\n")
    cloud = f"cloud: {{theirs: {{etag: abcd, version_id: {old}}}}}"
    parts = f"outs:\n- path: parts\n  hash: md5\n  files: [{{relpath: a.csv, md5: {md5(b'1' + chr(10).encode())}, size: 2, {cloud}}}]\n"
    version_aware = f"{config(f's3://{theirs}/dvc')}    version_aware = true\n"
    tag = team.release({"data/parts.dvc": parts, ".dvc/config": version_aware}, "data/parts")
    checkout, brought = team.bring(tag)
    assert (checkout / "data/parts/a.csv").read_bytes() == b"1\n"
    assert [each.path for each in brought.description.stored] == ["data/parts"]


def test_make_try_fetches_tracked_data_and_writes_to_no_store(team, remote, s3):
    team.release(one_file(remote))
    tried = answer("try", NEXT)
    assert (tried["objects"], remote.asked) == (2, [f"GET /files/md5/{md5(BYTES)[:2]}/{md5(BYTES)[2:]}"])
    bucket, prefix = team.deployment.store.removeprefix("s3://").split("/", 1)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")
