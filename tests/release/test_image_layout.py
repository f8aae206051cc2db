"""What `docker save` writes becomes one OCI layout, whichever way the engine stores its images."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from image_layout import Layout, LayoutError, pack

LAYERS = [b"Debian and Python " * 500, b"Airflow"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def saved(folder: Path, *, compressed: bool = False, named: list[bytes] | None = None) -> Path:
    """An archive of one image: layers as the engine stores them, below blobs/ as Docker has written them since version 25."""
    stored = [gzip.compress(layer, mtime=0) if compressed else layer for layer in LAYERS]
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{digest(layer)}" for layer in named or LAYERS]},
        }
    ).encode()
    members = {f"blobs/sha256/{digest(content)}": content for content in [*stored, configuration]}
    entry = {
        "Config": f"blobs/sha256/{digest(configuration)}",
        "RepoTags": ["retrain/airflow:v1.2.0"],
        "Layers": [f"blobs/sha256/{digest(layer)}" for layer in stored],
    }
    members["manifest.json"] = json.dumps([entry]).encode()
    with tarfile.open(folder / "saved.tar", "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder / "saved.tar"


@pytest.mark.parametrize("compressed", [False, True], ids=["as it is", "compressed"])
def test_an_image_keeps_its_configuration_and_layers_however_the_engine_stores_them(
    tmp_path: Path, compressed: bool
) -> None:
    made = pack(saved(tmp_path, compressed=compressed), {"airflow": "retrain/airflow:v1.2.0"}, "v1.2.0", tmp_path)
    layout, manifest = Layout(tmp_path), made["airflow"]
    *layers, configuration = manifest.blobs
    assert [gzip.decompress(layout.blob(layer).read_bytes()) for layer in layers] == LAYERS
    # Docker's own name of an image, so a host that pulls it has the image that was built.
    assert json.loads(layout.blob(configuration).read_bytes())["architecture"] == "amd64"
    for blob, size in manifest.blobs.items():
        assert blob == f"sha256:{digest(layout.blob(blob).read_bytes())}"
        assert size == layout.blob(blob).stat().st_size
    assert layout.manifests() == made
    assert layout.platform(manifest) == "linux/amd64"


def test_a_layer_that_is_not_the_one_of_its_image_is_refused(tmp_path: Path) -> None:
    archive = saved(tmp_path, named=[LAYERS[0], b"another"])
    with pytest.raises(
        LayoutError, match=r"A saved layer has the digest sha256:.*, its image names sha256:.*Build again"
    ):
        pack(archive, {"airflow": "retrain/airflow:v1.2.0"}, "v1.2.0", tmp_path)


def test_an_image_that_was_not_saved_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"no retrain/worker:v1\.2\.0, only \['retrain/airflow:v1\.2\.0'\]"):
        pack(saved(tmp_path), {"worker": "retrain/worker:v1.2.0"}, "v1.2.0", tmp_path)


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"holds no packed images.*Run publish\.py pack first"):
        Layout(tmp_path).manifests()
