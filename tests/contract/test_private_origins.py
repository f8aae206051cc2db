"""Private origins: Git gets the access of an Airflow connection, for its own server alone, and nobody else sees it."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import git_server
import pytest
import ssh_programs
from git_server import GitServer
from ssh_programs import SshServer
from team_origin import Origin as Team
from team_origin import isolated_git

from retrain.airflow import git_connection
from retrain.deployment.sections import Repository
from retrain.errors import OriginError
from retrain.run.release import Release
from retrain.work import git, process
from retrain.work.errors import OriginConnectionError, OriginHostKeyError, OriginRefusedError
from retrain.work.mirrors import fetched
from retrain.work.whole_checkout import whole_checkout

TOKEN = "t0ken/with:odd@signs"
LOGIN = f"deploy:{TOKEN}"
FORMS = (TOKEN, "t0ken%2Fwith%3Aodd%40signs", base64.b64encode(LOGIN.encode()).decode())


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """A team's repository `origin.git` with the release v1.0.0."""
    isolated_git(tmp_path / "home", monkeypatch)
    made = Team.create(tmp_path)
    made.release("v1.0.0", {"dvc.yaml": "stages: {}\n"})
    return made


@pytest.fixture
def server(team: Team) -> Iterator[GitServer]:
    """The team's private server."""
    with git_server.served(team.path.parent, LOGIN) as found:
        yield found


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Defines Airflow's connection `team_git`."""

    def define(conn_type: str = "http", **fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_TEAM_GIT", json.dumps({"conn_type": conn_type, **fields}))

    return define


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Arguments and output of every child process."""
    seen: list[tuple[str, str]] = []
    run = process.run

    def noting(argv: Any, **options: Any) -> process.Finished:
        done = run(argv, **options)
        seen.append((" ".join(map(str, argv)), done.output))
        return done

    monkeypatch.setattr(process, "run", noting)
    return seen


def at(url: str, connection: str | None = "team_git") -> Repository:
    return Repository(url=url, connection=connection)


def texts_below(folder: Path) -> str:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


@pytest.mark.parametrize("conn_type", ["http", "https", "git", "github", "generic"])
def test_a_token_reads_a_private_origin_and_is_in_no_argument_file_or_log(
    server: GitServer, connection: Callable[..., None], children: list[tuple[str, str]], tmp_path: Path,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, conn_type: str,
) -> None:  # fmt: skip
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    connection(conn_type, login="deploy", password=TOKEN)
    caplog.set_level("DEBUG")
    with git_connection.opened(at(f"{server.url}/origin.git")) as origin:
        modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "scratch").rglob("credentials")]
        commit = git.commit_of_tag(origin, "v1.0.0", cwd=tmp_path)
        mirror = git.mirror(origin, Release("v1.0.0", commit), tmp_path / "volume")
        whole_checkout(mirror, commit, tmp_path / "checkout", origin)
    assert modes == [0o600]
    assert server.logins == {LOGIN}
    assert (tmp_path / "checkout" / "dvc.yaml").is_file()
    assert not list((tmp_path / "scratch").iterdir())
    said = [*(" ".join(pair) for pair in children), caplog.text, repr(origin), str(origin)]
    said += [texts_below(tmp_path / name) for name in ("volume", "checkout", "scratch", "home")]
    assert not [form for form in FORMS for text in said if form in text]


def test_a_token_alone_is_enough(team: Team, connection: Callable[..., None], tmp_path: Path) -> None:
    connection(password=TOKEN)
    with (
        git_server.served(team.path.parent, f"x-access-token:{TOKEN}") as server,
        git_connection.opened(at(f"{server.url}/origin.git")) as origin,
    ):
        assert git.tags(origin, cwd=tmp_path) == ["v1.0.0"]


def test_a_redirect_to_another_server_does_not_get_the_token(
    team: Team, server: GitServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(login="deploy", password=TOKEN)
    with git_server.served(team.path.parent) as elsewhere:
        server.moved = {"/origin.git": f"http://localhost:{elsewhere.port}/origin.git"}
        with git_connection.opened(at(f"{server.url}/origin.git")) as origin:
            fetched(origin, team.git("rev-parse", "HEAD"), tmp_path / "volume", tag="v1.0.0")
        assert any(each.method == "POST" for each in elsewhere.asked)
        assert elsewhere.logins == set()
        elsewhere.login = "someone:else"
        with git_connection.opened(at(f"{server.url}/origin.git")) as origin, pytest.raises(OriginRefusedError):
            git.tags(origin, cwd=tmp_path)
        assert elsewhere.logins == set()


def test_a_redirect_on_the_same_server_is_followed_with_the_token(
    server: GitServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(login="deploy", password=TOKEN)
    server.moved = {"/renamed.git": f"{server.url}/origin.git"}
    with git_connection.opened(at(f"{server.url}/renamed.git")) as origin:
        assert git.tags(origin, cwd=tmp_path) == ["v1.0.0"]


def test_the_access_of_this_machine_does_not_take_the_place_of_the_connection(
    server: GitServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "home" / ".git-credentials").write_text(f"http://deploy:wrong@127.0.0.1:{server.port}\n")
    (tmp_path / "home" / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    connection(login="deploy", password=TOKEN)
    with git_connection.opened(at(f"{server.url}/origin.git")) as origin:
        assert git.tags(origin, cwd=tmp_path) == ["v1.0.0"]
    assert server.logins == {LOGIN}


def test_a_wrong_token_is_one_error_with_origin_connection_and_action(
    server: GitServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(login="deploy", password="0ther-token")
    url = f"{server.url}/origin.git"
    with git_connection.opened(at(url)) as origin:
        for ask in (lambda: git.tags(origin, cwd=tmp_path), lambda: fetched(origin, "f" * 40, tmp_path / "volume")):
            with pytest.raises(OriginRefusedError) as refused:
                ask()
            assert re.match(
                rf"git (ls-remote|fetch) of {url}, read with the connection team_git was refused", str(refused.value)
            )
            assert "0ther-token" not in str(refused.value)
    with git_connection.opened(at(url, None)) as origin, pytest.raises(OriginRefusedError, match="No connection is"):
        git.tags(origin, cwd=tmp_path)


@pytest.mark.parametrize(
    ("kind", "fields", "url", "why"),
    [
        ("aws", {"password": TOKEN}, "https://host/x.git", "of the type aws, which is none of Git's"),
        ("http", {"login": "deploy"}, "https://host/x.git", "has no password"),
        ("http", {"password": TOKEN}, "git@host:x.git", "neither private_key nor key_file"),
        ("http", {"password": TOKEN, "host": "other"}, "https://host/x.git", "is for other, and repository.url is on host"),
        ("http", {"password": TOKEN}, "/srv/x.git", "neither an http, https nor SSH address"),
        ("ssh", {"extra": {"key_file": "/no/such/key"}}, "git@host:x.git", "/no/such/key, which cannot be read here"),
        ("ssh", {"extra": {"private_key": "no key"}}, "git@host:x.git", "not a private key that SSH can read"),
    ],
)  # fmt: skip
def test_a_connection_that_does_not_fit_the_address_is_refused_by_name(
    connection: Callable[..., None], kind: str, fields: dict[str, Any], url: str, why: str
) -> None:
    connection(kind, **fields)
    with pytest.raises(OriginConnectionError, match=why) as refused, git_connection.opened(at(url)):
        pytest.fail("it was opened")
    assert "team_git" in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_a_connection_that_airflow_does_not_know_is_named() -> None:
    with (
        pytest.raises(OriginConnectionError, match="no connection nowhere"),
        git_connection.opened(at("https://host/x.git", "nowhere")),
    ):
        pytest.fail("it was opened")


@pytest.fixture(
    params=[
        "asyncssh",
        pytest.param("sshd", marks=pytest.mark.skipif(ssh_programs.SSHD is None, reason="NOT TESTED: no sshd here")),
    ]
)
def ssh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SshServer]:
    """An SSH server that hands out repositories to the holder of one key."""
    with ssh_programs.served(tmp_path / "ssh", request.param) as found:
        yield found


def test_a_key_reads_an_ssh_origin_whose_host_key_is_the_known_one(
    team: Team, ssh: SshServer, connection: Callable[..., None], children: list[tuple[str, str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    extra = {"private_key": ssh.key.read_text().replace("\n", "\\n"), "host_key": ssh.host_key}
    connection("ssh", extra=extra)
    with git_connection.opened(at(ssh.url(team.path))) as origin:
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "scratch").rglob("*") if path.is_file()}
        commit = git.commit_of_tag(origin, "v1.0.0", cwd=tmp_path)
        mirror = git.mirror(origin, Release("v1.0.0", commit), tmp_path / "volume")
    assert modes == {"key": 0o600, "known_hosts": 0o600, "in-use": 0o600}
    assert not list((tmp_path / "scratch").iterdir())
    line = ssh.key.read_text().splitlines()[1]
    assert line not in texts_below(mirror) + repr(origin) + "".join(map(str, children))


def test_the_file_of_a_key_will_do_and_a_host_key_without_its_type(
    team: Team, ssh: SshServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    ssh.key.chmod(0o644)  # SSH itself refuses such a file
    connection("ssh", extra={"key_file": str(ssh.key), "host_key": ssh.host_key.split()[1]})
    with git_connection.opened(at(ssh.url(team.path))) as origin:
        assert git.tags(origin, cwd=tmp_path) == ["v1.0.0"]


def test_an_unknown_host_key_stops_git_before_the_key_is_used(
    team: Team, ssh: SshServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    other = ssh.other.with_suffix(".pub").read_text()
    for extra in ({"host_key": other}, {}):
        connection("ssh", extra={"private_key": ssh.key.read_text(), **extra})
        with (
            git_connection.opened(at(ssh.url(team.path))) as origin,
            pytest.raises(OriginHostKeyError, match=r"team_git stopped.*host_key in the extra of team_git"),
        ):
            git.tags(origin, cwd=tmp_path)


def test_a_key_that_the_server_refuses_is_one_error_and_no_other_key_is_tried(
    team: Team, ssh: SshServer, connection: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    for name, value in re.findall(r"(SSH_\w+)=([^;]+);", agent):
        monkeypatch.setenv(name, value)
    try:
        subprocess.run(["ssh-add", "-q", ssh.key], check=True)
        connection("ssh", extra={"private_key": ssh.other.read_text(), "host_key": ssh.host_key})
        with (
            git_connection.opened(at(ssh.url(team.path))) as origin,
            pytest.raises(OriginRefusedError, match=r"git ls-remote of ssh://.*connection team_git was refused"),
        ):
            git.tags(origin, cwd=tmp_path)
    finally:
        os.kill(int(os.environ["SSH_AGENT_PID"]), 15)


def test_a_key_with_a_passphrase_is_refused_by_name(connection: Callable[..., None], tmp_path: Path) -> None:
    key = ssh_programs.new_key(tmp_path / "locked", "a passphrase")
    connection("ssh", extra={"private_key": key.read_text(), "private_key_passphrase": "a passphrase"})
    with (
        pytest.raises(OriginConnectionError, match="private key of the connection team_git has a passphrase"),
        git_connection.opened(at("git@host:x.git")),
    ):
        pytest.fail("it was opened")


# --- a commit without a tag --------------------------------------------------------------------------------------------------


def test_a_commit_without_a_tag_is_fetched_by_its_digits_and_kept(
    team: Team, server: GitServer, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(login="deploy", password=TOKEN)
    team.git("commit", "--quiet", "--allow-empty", "-m", "untagged")
    team.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    commit = team.git("rev-parse", "HEAD")
    with git_connection.opened(at(f"{server.url}/origin.git")) as origin:
        mirror = git.mirror(origin, Release("v9.0.0", commit), tmp_path / "volume")
    listed = subprocess.run(["git", "-C", mirror, "for-each-ref"], check=True, capture_output=True, text=True).stdout
    assert listed.split() == [commit, "commit", f"refs/kept/{commit}"]


def test_a_server_that_hands_out_only_what_it_lists_is_asked_for_its_branches(team: Team, tmp_path: Path) -> None:
    """As servers with the first protocol do by default."""
    (tmp_path / "home" / ".gitconfig").write_text("[protocol]\n\tversion = 0\n")
    older = team.git("rev-parse", "HEAD")
    team.git("commit", "--quiet", "--allow-empty", "-m", "newer")
    team.git("push", "--quiet", "origin", "HEAD:refs/heads/main", ":refs/tags/v1.0.0")
    assert fetched(team.address, older, tmp_path / "volume").is_dir()
    subprocess.run(
        ["git", "-C", team.path, "symbolic-ref", "HEAD", "refs/heads/other"], check=True
    )  # else it keeps main
    team.git("push", "--quiet", "origin", ":refs/heads/main", "HEAD:refs/heads/other")
    with pytest.raises(OriginError, match=r"no branch and no tag leads to it.*Push a branch or a tag"):
        fetched(team.address, "e" * 40, tmp_path / "volume")
