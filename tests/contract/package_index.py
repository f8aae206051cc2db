"""A package index on a loopback port, whose packages a test adds, withdraws and replaces."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import ssl
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

DATED = "dated.json"  # the page of a package whose files have dates
_BACKEND = """
def get_requires_for_build_wheel(config_settings=None):
    {body}
prepare_metadata_for_build_wheel = build_wheel = get_requires_for_build_wheel
"""
_BUILT_BY_ITSELF = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class _Handler(SimpleHTTPRequestHandler):
    authorization: str | None = None
    kept = False

    def do_GET(self) -> None:
        if self.authorization not in (None, self.headers["Authorization"]):
            self.send_error(401, "Unauthorized")
            return
        page = Path(self.translate_path(self.path)) / DATED
        if page.is_file():
            content = page.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.send_error(405)

    def end_headers(self) -> None:
        as_pypi = "max-age=0" if self.path.endswith("/") else "max-age=365000000, immutable, public"
        self.send_header("Cache-Control", as_pypi if self.kept else "no-store")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        del arguments


@dataclass(frozen=True)
class Index:
    """The folder below which packages are, and the index's address."""

    folder: Path
    url: str
    hashes: bool = True

    def add(self, name: str, version: str, requires: tuple[str, ...] = (), content: str = "") -> Path:
        """A wheel with one module, `name`, whose VERSION is its version."""
        wheel = self._place(name) / f"{name}-{version}-py3-none-any.whl"
        write_wheel(wheel, name, version, requires, content)
        self.list(name)
        return wheel

    def add_unbuildable(self, name: str, version: str, body: str) -> None:
        """A source distribution whose build runs `body`."""
        top = f"{name}-{version}"
        files = {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": _BUILT_BY_ITSELF,
            "backend.py": _BACKEND.format(body=body),
        }
        with tarfile.open(self._place(name) / f"{top}.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(f"{top}/{path}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        self.list(name)

    def add_dated(
        self, name: str, versions: dict[str, str], requires: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        """Wheels of a package with the dates of their uploads by version, as PyPI names them; `requires` has their dependencies."""
        files = []
        for version, uploaded in versions.items():
            wheel = self.add(name, version, (requires or {}).get(version, ()))
            files.append(
                {
                    "filename": wheel.name,
                    "url": wheel.name,
                    "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
                    "upload-time": f"{uploaded}T00:00:00Z",
                }
            )
        page = {"meta": {"api-version": "1.1"}, "name": name, "versions": list(versions), "files": files}
        (self._place(name) / DATED).write_text(json.dumps(page))

    def list(self, name: str) -> None:
        """Write the page of a package: what its folder holds."""
        folder = self._place(name)
        files = sorted(path for path in folder.iterdir() if path.name not in ("index.html", DATED))
        links = [
            f'<a href="{file.name}{f"#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}" if self.hashes else ""}">{file.name}</a>'
            for file in files
        ]
        (folder / "index.html").write_text("\n".join(links))

    def _place(self, name: str) -> Path:
        place = self.folder / "simple" / name
        place.mkdir(parents=True, exist_ok=True)
        return place


def write_wheel(wheel: Path, name: str, version: str, requires: tuple[str, ...] = (), content: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n{content}",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def package_index(
    folder: Path,
    *,
    hashes: bool = True,
    login: str | None = None,
    tls: ssl.SSLContext | None = None,
    kept: bool = False,
) -> Iterator[Index]:
    """An index of the packages below `folder`; without `hashes`, its pages do not name those of the files. `login` is user:password.

    With `tls` it has an https address. If `kept`, a client may keep its files for good, and its
    pages as long as it asks whether they have changed, as those of PyPI after ten minutes; otherwise nothing.
    """
    (folder / "simple").mkdir(parents=True)
    asked = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
    handler = type("Handler", (_Handler,), {"authorization": asked, "kept": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,), name="package index")
    thread.start()
    try:
        yield Index(folder, f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/simple", hashes)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
