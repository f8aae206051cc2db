"""An SSH server for a test that only runs `git-upload-pack`: asyncssh from DVC's environment, or the machine's sshd.

As a program of its own, `python ssh_programs.py HOST_KEY AUTHORIZED_KEYS`, it is the first of them, and prints its port.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[2] / "pipeline" / ".venv" / "bin" / "python"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass(frozen=True)
class SshServer:
    """A server on 127.0.0.1. `host_key` is its public key; `key` is the file of a private key that it accepts, `other` of one that it refuses."""

    port: int
    host_key: str
    key: Path
    other: Path

    def url(self, repository: Path) -> str:
        return f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{self.port}{repository}"


def new_key(path: Path, passphrase: str = "") -> Path:
    """Make a private key, and its public one beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@contextmanager
def served(folder: Path, program: str) -> Iterator[SshServer]:
    """A server that ends with the block. `program` is asyncssh or sshd."""
    folder.mkdir()
    host, key, other = (new_key(folder / name) for name in ("host", "key", "other"))
    authorized = folder / "authorized_keys"
    authorized.write_text(key.with_suffix(".pub").read_text())
    public = host.with_suffix(".pub").read_text().strip()
    with _running(folder, program, host, authorized) as port:
        yield SshServer(port, public, key, other)


@contextmanager
def _running(folder: Path, program: str, host: Path, authorized: Path) -> Iterator[int]:
    if program == "asyncssh":
        command = [str(PYTHON), __file__, str(host), str(authorized)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            yield int(child.stdout.readline())
        finally:
            child.terminate()
            child.wait(10)
        return
    assert SSHD is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": host,
        "AuthorizedKeysFile": authorized,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": f"GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=* PATH={os.environ['PATH']}",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    with (folder / "log").open("w") as log:
        child = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
        try:
            _wait_for(port, child)
            yield port
        finally:
            child.terminate()
            child.wait(10)


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError("sshd ended at once")


async def _serve(host: str, authorized: str) -> None:
    import asyncssh

    async def answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
        program, *arguments = shlex.split(process.command or "")
        if program != "git-upload-pack":
            process.exit(127)
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "git", "upload-pack", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        process.exit(await child.wait())

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host],
        authorized_client_keys=authorized,
        process_factory=answer,
        encoding=None,
    )
    sys.stdout.write(f"{server.get_port()}\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
