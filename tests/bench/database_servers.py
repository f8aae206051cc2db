"""A Postgres and a Redis of this machine, on the loopback, with their data below one folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

_REDIS_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")


class DatabaseServerError(Exception):
    """Postgres or Redis is not on this machine, or cannot be prepared; the message says what to install."""


def postgres_command(folder: Path, port: int, password: str) -> list[str]:
    """Make an empty Postgres with the role and database `airflow`; returns the command that serves it.

    Raises:
        DatabaseServerError: Postgres is not installed, or refuses.
    """
    found = shutil.which("postgres")
    if not found:
        raise DatabaseServerError("postgres is not on the PATH. Debian: apt-get install postgresql.")
    programs, data = Path(found).resolve().parent, folder / "postgres"
    data.mkdir(parents=True)
    secret = folder / "postgres-password"
    secret.write_text(password)
    # Postgres refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        for path in (data, secret):
            shutil.chown(path, user, user)
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    made = subprocess.run(
        [
            *as_user,
            str(programs / "initdb"),
            f"--pgdata={data}",
            "--username=airflow",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise DatabaseServerError(f"initdb failed: {made.stderr.strip()[-500:]}")
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [*as_user, str(programs / "postgres"), "-D", str(data), *options]


def redis_command(folder: Path) -> list[str]:
    """The program `redis-server`: the machine's, or Debian's package unpacked below `folder` and not installed.

    Raises:
        DatabaseServerError: there is none, and it cannot be fetched.
    """
    if found := shutil.which("redis-server"):
        return [found]
    if not shutil.which("apt-get"):
        raise DatabaseServerError("redis-server is not on the PATH, and there is no apt-get to fetch it with.")
    root = folder / "redis"
    root.mkdir(parents=True)
    fetched = subprocess.run(
        ["apt-get", "--quiet", "download", *_REDIS_PACKAGES], cwd=root, capture_output=True, text=True, check=False
    )
    if fetched.returncode:
        raise DatabaseServerError(f"redis-server was not fetched: {fetched.stderr.strip()[-500:]}")
    for package in root.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(package), str(root)], check=True)
    (libraries,) = {path.parent for path in root.rglob("liblzf.so.1")}
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(root / "usr" / "bin" / "redis-server")]
