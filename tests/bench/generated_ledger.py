"""A ledger of many pipelines and years, written as the files of the local S3 server before that starts.

Ten pipelines of three years are 200,000 objects, which take half an hour through the S3 API and some two minutes as files. The
documents are made by the types and the `Ledger` that the tasks use. Call it, start the server, make the buckets:

    made = generate(stack.state / "s3" / "objects", pipelines=10, days=1095)
    with running(stack, "s3"):
        apply_buckets(stack)
        Ledger(s3_client(stack), LEDGER_URL).records(made.pipelines[0])

Each day has one run with all documents of an entry and its events (counts, mirrored, stages, judged; every tenth day a promotion),
two raw objects (data, marker) in a bucket with versions, and four new objects on the remote: a file of the folder `data/days`,
the folder's listing, a model, a metrics file. The folder holds the newest `files` days, so that an object is in `files` receipts.
`pipeline_files` writes the pipelines' deployment files, with the addresses that were generated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("plugins", "infra/local", "tests/bench")]

from generated_run import LEDGER_URL, GeneratedRun, raw_of, store_of, stored  # noqa: E402
from server_files import ServerFiles  # noqa: E402
from stack_model import RAW_BUCKET  # noqa: E402

from retrain.run.manifest import Manifest, RawObject  # noqa: E402
from retrain.run.release import Release  # noqa: E402
from retrain.store import events  # noqa: E402
from retrain.store.ledger import Ledger  # noqa: E402

_RELEASE_DAYS = 30
_PROMOTION_DAYS = 10
_FIRST = date(2018, 1, 1)


@dataclass(frozen=True)
class GeneratedLedger:
    """The pipelines, and their first and last recorded partition."""

    pipelines: tuple[str, ...]
    first: str
    last: str


def generate(
    folder: Path,
    pipelines: int = 10,
    days: int = 1095,
    *,
    first: date = _FIRST,
    window: int = 366,
    files: int = 100,
    processes: int = 2,
    reuse: bool = False,
    prefix: str = "pipeline",
    said: Callable[[str], object] = lambda _line: None,
) -> GeneratedLedger:
    """Write the ledger, the remote and the raw data of `pipeline_00`, `pipeline_01` and so on.

    Args:
        folder: the server's `S3_DATA_DIR`. The server must not be running: it reads its files when it starts.
        pipelines: their number.
        days: the recorded days of each.
        first: the first recorded day. The days before it, as many as the window needs, only have raw data.
        window: the days that a run reads. One object a day, so it is also the number of objects of a manifest.
        files: the files of each run's folder output; a receipt proves three objects more.
        processes: how many write at the same time.
        reuse: the folder holds a ledger of these arguments already; only say what is in it.
        prefix: begins the names of the pipelines, so that a second call can add others.
        said: is called with a line when a pipeline is written.
    """
    names = tuple(f"{prefix}_{number:02}" for number in range(pipelines))
    work = [(folder, name, first, days, window, files) for name in names]
    if reuse:
        said(f"{folder} is taken as it is")
    elif processes == 1 or pipelines == 1:
        for each in work:
            said(_pipeline(*each))
    else:
        with ProcessPoolExecutor(processes) as pool:
            for line in pool.map(_pipeline, *zip(*work, strict=True)):
                said(line)
    return GeneratedLedger(names, first.isoformat(), (first + timedelta(days=days - 1)).isoformat())


def pipeline_files(folder: Path, made: GeneratedLedger, *, window: int = 366) -> list[Path]:
    """Write the pipelines' files below `folder`, as copies of trip_duration's with the generated addresses."""
    document = yaml.safe_load((ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in made.pipelines:
        own = {
            **document,
            "raw": {**document["raw"], "url": raw_of(name), "window_days": window},
            "store": store_of(name),
            "ledger": LEDGER_URL,
            "tracking": {"experiment": name, "model": name},
            "schedule": {**document["schedule"], "start_date": date.fromisoformat(made.first)},
        }
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(own), encoding="utf-8")
        paths.append(path)
    return paths


def _pipeline(folder: Path, name: str, first: date, days: int, window: int, files: int) -> str:
    started = time.perf_counter()
    client = ServerFiles(folder, datetime.combine(first, datetime.min.time(), UTC))
    recorded = [first + timedelta(days=number) for number in range(days)]
    raw = list(_raw_fragments(client, name, first - timedelta(days=window - 1), window - 1 + days))
    releases = [_release(name, number) for number in range((days - 1) // _RELEASE_DAYS + 1)]
    _note_releases(Ledger(cast("Any", client), LEDGER_URL), name, releases, recorded[0])
    daily: list[tuple[str, str, int]] = []  # relpath, MD5, size
    champion: str | None = None
    for number, day in enumerate(recorded):
        at = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=6, minutes=2)
        then = client.written(at)
        content = f"{name} {day} rows\n".encode()
        daily.append((f"{day}.bin", stored(then, name, content), len(content)))
        manifest = _manifest(name, day.isoformat(), raw[number : number + window])
        promoted = number % _PROMOTION_DAYS == 0
        run = GeneratedRun(then, name, day, releases[number // _RELEASE_DAYS], str(number + 1), manifest, at)
        run.write(daily[-files:], champion, promoted=promoted)
        champion = str(number + 1) if promoted else champion
    return f"{name}: {days} days in {time.perf_counter() - started:.0f} s"


def _manifest(pipeline: str, partition: str, fragments: Sequence[str]) -> str:
    """What `Manifest.to_json` writes, put together from the texts of its objects: every object is in hundreds of manifests."""
    listed = ",\n".join(fragments)
    return Manifest(pipeline, partition, raw_of(pipeline), ()).to_json().replace("[]", f"[\n{listed}\n ]")


def _raw_fragments(client: ServerFiles, name: str, first: date, days: int) -> Iterator[str]:
    """Write the landed days; yields the text of each data object in a manifest, in the order of days."""
    prefix = raw_of(name).partition("://")[2].partition("/")[2]
    for day in (first + timedelta(days=number) for number in range(days)):
        landed = client.written(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC))
        for file in ("trips.parquet", "_SUCCESS"):
            key, body = f"dt={day}/{file}", b"" if file == "_SUCCESS" else f"{name} {day} raw\n".encode()
            version = hashlib.md5(f"{name} {key}".encode(), usedforsecurity=False).hexdigest()
            landed.put_object(Bucket=RAW_BUCKET, Key=f"{prefix}/{key}", Body=body, VersionId=version)
            if body:
                listed = RawObject(key, hashlib.md5(body, usedforsecurity=False).hexdigest(), len(body), version)
                yield textwrap.indent(json.dumps(asdict(listed), sort_keys=True, indent=1), "  ")


def _release(pipeline: str, number: int) -> Release:
    return Release(f"v1.{number}.0", hashlib.sha1(f"{pipeline} {number}".encode(), usedforsecurity=False).hexdigest())


def _note_releases(ledger: Ledger, pipeline: str, releases: Sequence[Release], first: date) -> None:
    before: str | None = None
    for number, release in enumerate(releases):
        at = f"{first + timedelta(days=number * _RELEASE_DAYS)}T08:00:00.000+00:00"
        ledger.event(pipeline, events.TAGS, release.tag, events.TagEvent(at, release.commit).to_dict())
        pinned = events.PinnedEvent(at, release.tag, release.commit, before, "somebody", "release")
        ledger.event(pipeline, events.PINNED, f"{number + 1:04}", pinned.to_dict())
        before = release.tag
    ledger.event(pipeline, events.TAGS_BEFORE, "noted", events.TagsNotedEvent(f"{first}T08:00:00.000+00:00").to_dict())


def main() -> int:
    """Generate into a folder: for a look at the files, or to time it."""
    parser = argparse.ArgumentParser(
        prog="generated_ledger.py", description="Write a large ledger as a server's files."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument("--days", type=int, default=1095)
    options = parser.parse_args()
    generate(options.folder, options.pipelines, options.days, said=lambda line: sys.stderr.write(f"{line}\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
