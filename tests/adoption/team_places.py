"""The places of a team outside its repository: further origins, its server, its own S3 server, and its entries in Airflow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buckets import s3_client
from live_servers import ROOT, free_ports, running
from shape import Shape
from stack_model import REGION, Ports, Secrets, Stack
from team_origin import Origin
from team_server import TeamServer

# The addresses in the shapes' files.
_SERVER, _LAB, _ORIGINS = "http://rates.example", "http://lab.example", "/the/origins"
_LAB_BUCKET, _LAB_FOLDER = "bicycles-lab", "dvc"


@contextmanager
def lab_server(state: Path) -> Iterator[Stack]:
    """An S3 server of a team's own, which does not know the deployment's key. It has the bucket of the team's DVC remote."""
    lab = Stack(ROOT, state, Ports(*free_ports(6)), Secrets.generate())
    with running(lab, "s3"):
        s3_client(lab).create_bucket(Bucket=_LAB_BUCKET)
        yield lab


@dataclass(frozen=True)
class TeamPlaces:
    """Where a shape's team has what its repository and its pipeline's file name. `origins` is the folder of all its repositories."""

    shape: Shape
    server: TeamServer
    origins: Path
    lab: Stack | None

    def furnish(self) -> dict[str, str]:
        """Make the further origins, and put the objects of the remotes there; gives the real addresses by those in the shape's files."""
        real = {_SERVER: self.server.url, _ORIGINS: str(self.origins)}
        commits = {name: self._other_origin(name) for name in self._folders("other_origins")}
        real |= {text: commits[name] for text, name in self.shape.document.get("imports", {}).items()}
        for path, content in _contents(self.shape.folder / "served"):
            self.server.files[f"/{path}"] = content
        for name in self._folders("remotes"):
            for path, content in _contents(self.shape.folder / "remotes" / name):
                if name == "lab":
                    self._put(path, content)
                else:
                    self.server.files[f"/private/{name}/{path}"] = content
        return real | ({_LAB: self.lab.s3_url} if self.lab else {})

    def connections(self) -> dict[str, dict[str, str]]:
        """The team's connections in Airflow, by id. Its server accepts their logins from then on."""
        found: dict[str, dict[str, str]] = {}
        for name, value in self.shape.document.get("connections", {}).items():
            connection = {"conn_type": "generic"} | value
            if connection.pop("of", None) == "lab" and self.lab:
                keys = self.lab.secrets
                connection |= {"login": keys.s3_access_key, "password": keys.s3_secret_key}
                connection["extra"] = json.dumps({"region_name": REGION})
            login = f"{connection['login']}:{connection['password']}"
            self.server.authorizations.update(
                {f"Basic {base64.b64encode(login.encode()).decode()}", f"Bearer {connection['password']}"}
            )
            found[name] = connection
        return found

    def publish(self, places: Mapping[str, str], changed: Mapping[str, str] | None = None) -> Origin:
        """Make the origin, with the release: a tag, or a branch for a team that does not tag.

        `places` are those of `furnish`, `changed` the text of files that are others than the shape's.
        """
        origin = Origin.create(self.origins, {**self.shape.files(places), **(changed or {})}, self.shape.name)
        for path, name in self.shape.document.get("submodules", {}).items():
            # By an address that is relative to the repository's own.
            origin.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", f"../{name}.git", path)
        if self.shape.label:
            origin.commit("Begin")
            origin.push_branch()
        else:
            origin.release(self.shape.release)
        return origin

    def _folders(self, kind: str) -> list[str]:
        return sorted(each.name for each in (self.shape.folder / kind).glob("*"))

    def _other_origin(self, name: str) -> str:
        """The commit of a further origin, which is made."""
        files = {path: content.decode() for path, content in _contents(self.shape.folder / "other_origins" / name)}
        origin = Origin.create(self.origins, files, name)
        commit = origin.release("v0.1.0")
        origin.push_branch()
        return commit

    def _put(self, path: str, content: bytes) -> None:
        if self.lab is None:
            raise LookupError(f"{self.shape.name} has a remote on an S3 server of its own, and none was started")
        s3_client(self.lab).put_object(Bucket=_LAB_BUCKET, Key=f"{_LAB_FOLDER}/{path}", Body=content)


def _contents(top: Path) -> list[tuple[str, bytes]]:
    """The files below a folder by their path in it."""
    return [(path.relative_to(top).as_posix(), path.read_bytes()) for path in sorted(top.rglob("*")) if path.is_file()]
