"""A release's images as one OCI layout: a layer that several images have is stored once, compressed.

Docker names an image by its configuration, a registry by its manifest. The manifests are made here, where the images are built, so
the digests of a release are fixed before any job has rights. The first image's manifest names the others, so its tag alone
identifies the whole release.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIGURATION = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_NAMED = "retrain.image."  # + image: the digest of another image of the same release
_RELEASE = "org.opencontainers.image.version"
_IMAGE = "org.opencontainers.image.ref.name"
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class LayoutError(Exception):
    """The saved images are not what they should be; the message says what differs."""


@dataclass(frozen=True)
class Manifest:
    """An image's manifest, as the bytes that a registry keeps."""

    content: bytes

    @property
    def digest(self) -> str:
        """`sha256:…` of the bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def blobs(self) -> dict[str, int]:
        """Digest -> size in bytes of the layers and, last, the configuration."""
        document = json.loads(self.content)
        return {str(blob["digest"]): int(blob["size"]) for blob in [*document["layers"], document["config"]]}

    @property
    def release(self) -> str | None:
        """The release's tag; None if the manifest was not made here."""
        return self._annotations.get(_RELEASE)

    @property
    def others(self) -> dict[str, str]:
        """Image -> digest of the release's other images. Only the first image's manifest has them."""
        return {
            name.removeprefix(_NAMED): digest for name, digest in self._annotations.items() if name.startswith(_NAMED)
        }

    @property
    def _annotations(self) -> dict[str, str]:
        annotations: dict[str, str] = json.loads(self.content).get("annotations", {})
        return annotations


@dataclass(frozen=True)
class Layout:
    """The folder of an OCI layout."""

    folder: Path

    def blob(self, digest: str) -> Path:
        """The file of a blob."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def manifests(self) -> dict[str, Manifest]:
        """Image -> manifest.

        Raises:
            LayoutError: the folder is no layout, or a manifest's bytes are not those of its digest.
        """
        found = {}
        try:
            index = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            for entry in index["manifests"]:
                manifest = Manifest(self.blob(entry["digest"]).read_bytes())
                if manifest.digest != entry["digest"]:
                    raise LayoutError(
                        f"The manifest of {entry['annotations'][_IMAGE]} has the digest {manifest.digest}, its name is "
                        f"{entry['digest']}. It was changed after the build: build again."
                    )
                found[str(entry["annotations"][_IMAGE])] = manifest
        except (OSError, ValueError, KeyError) as error:
            raise LayoutError(
                f"{self.folder} holds no packed images ({error!r}). Run publish.py pack first."
            ) from error
        return found

    def platform(self, manifest: Manifest) -> str:
        """The machine on which an image runs, such as linux/amd64.

        Raises:
            LayoutError: the configuration is missing, or is not the one that the manifest names.
        """
        digest = list(manifest.blobs)[-1]
        content = self.blob(digest).read_bytes() if self.blob(digest).is_file() else b""
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise LayoutError(f"The configuration {digest} was changed after the build: build again.")
        known = json.loads(content)
        return f"{known['os']}/{known['architecture']}"


def pack(saved: Path, names: Mapping[str, str], release: str, folder: Path) -> dict[str, Manifest]:
    """Write the images of a `docker save` archive as a layout in `folder`; returns image -> manifest.

    `names` maps image -> its name in the engine. The first image's manifest names the others.

    Raises:
        LayoutError: the archive lacks an image, or a layer is not the one that an image's configuration names.
    """
    layout, made = Layout(folder), dict[str, Manifest]()
    layout.blob("").mkdir(parents=True, exist_ok=True)
    with tarfile.open(saved) as archive:
        entries = {
            name: entry
            for entry in json.loads(_member(archive, "manifest.json").read())
            for name in entry.get("RepoTags") or ()
        }
        layers: dict[str, dict[str, Any]] = {}
        for image, name in reversed(list(names.items())):
            if name not in entries:
                raise LayoutError(f"The archive of saved images has no {name}, only {sorted(entries)}.")
            configuration = _member(archive, entries[name]["Config"]).read()
            wanted = json.loads(configuration)["rootfs"]["diff_ids"]
            for path, content in zip(entries[name]["Layers"], wanted, strict=True):
                if content not in layers:
                    layers[content] = _layer(layout, _member(archive, path), content)
            first = len(made) == len(names) - 1
            others = {f"{_NAMED}{other}": manifest.digest for other, manifest in made.items()} if first else {}
            document = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _keep(layout, configuration, _CONFIGURATION),
                "layers": [layers[content] for content in wanted],
                "annotations": {_RELEASE: release} | others,
            }
            made[image] = Manifest(json.dumps(document, separators=(",", ":")).encode())
            _keep(layout, made[image].content, MANIFEST)
    index = [
        {
            "mediaType": MANIFEST,
            "digest": made[image].digest,
            "size": len(made[image].content),
            "annotations": {_IMAGE: image},
        }
        for image in names
    ]
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}), encoding="utf-8")
    return {image: made[image] for image in names}


def _member(archive: tarfile.TarFile, path: str) -> IO[bytes]:
    try:
        found = archive.extractfile(path)
    except KeyError as error:
        raise LayoutError(f"The archive of saved images has no {path}.") from error
    if found is None:
        raise LayoutError(f"{path} in the archive of saved images is no file.")
    return found


def _keep(layout: Layout, content: bytes, kind: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    layout.blob(digest).write_bytes(content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _layer(layout: Layout, stored: IO[bytes], content: str) -> dict[str, Any]:
    """Keep one layer, compressed; an engine that stores its layers compressed has saved it so."""
    draft = layout.folder / "layer.new"
    beginning = stored.read(len(_GZIP))
    stored.seek(0)
    plain, packed = hashlib.sha256(), hashlib.sha256()
    unpack = zlib.decompressobj(wbits=31)
    with draft.open("wb") as target:
        if beginning == _GZIP:
            while chunk := stored.read(_CHUNK):
                plain.update(unpack.decompress(chunk))
                target.write(chunk)
        else:
            # No time and no name in the header, so that the same layer has the same bytes.
            with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=6, mtime=0) as compressed:
                while chunk := stored.read(_CHUNK):
                    plain.update(chunk)
                    compressed.write(chunk)
    if f"sha256:{plain.hexdigest()}" != content:
        raise LayoutError(
            f"A saved layer has the digest sha256:{plain.hexdigest()}, its image names {content}. Build again."
        )
    with draft.open("rb") as written:
        while chunk := written.read(_CHUNK):
            packed.update(chunk)
    digest = f"sha256:{packed.hexdigest()}"
    size = draft.stat().st_size
    draft.rename(layout.blob(digest))
    return {"mediaType": _LAYER, "digest": digest, "size": size}
