"""The commands: the release pin, and everything that the ledger can tell or bring back. `python -m retrain --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrain.airflow.api import AirflowApi
from retrain.archive import entry, explain, history, prune, recorded_environment, replay, verify
from retrain.commands import pinning
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import RetrainError
from retrain.run import manifest, partition, run_record
from retrain.run.release import Pin, Release
from retrain.store import fetch as restore
from retrain.store import ledger_facts, s3
from retrain.store.receipt import name
from retrain.tracking import rebuild
from retrain.work import git, workspace
from retrain.work.dvc import tracked_inputs
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment, uv

ROOT = Path(__file__).resolve().parents[3]
# What a command says: a document for --json, and lines for people. The last: whether all is well.
Answer = tuple[Any, list[str], bool]


def main(arguments: list[str] | None = None) -> int:
    """Returns 0; 1 when what was asked for is not well, or after one sentence on stderr."""
    options = parser().parse_args(arguments)
    # Standard error is for one sentence; Airflow, which is imported later, would say there where it has its credentials from.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    if profile := os.environ.get("RETRAIN_COMMANDS_PROFILE"):  # the api-server's own role reads no data
        os.environ["AWS_PROFILE"] = profile
    try:
        with _talk_on_stderr():
            document, lines, well = options.command(options)
    except RetrainError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=1, sort_keys=True) if options.json else "\n".join(lines))
    return 0 if well else 1


@contextmanager
def _talk_on_stderr() -> Iterator[None]:
    """Standard output is for the answer alone: what libraries and child processes say meanwhile goes to standard error."""
    sys.stdout.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answer, 1)
        os.close(answer)


def _deployment(pipeline: str) -> Deployment:
    folder = Path(os.environ.get("RETRAIN_PIPELINES") or ROOT / "dags" / "pipelines")
    return load(folder / f"{pipeline}.yaml")


class _Place:
    """Where a pipeline's things are."""

    def __init__(self, pipeline: str) -> None:
        from retrain.airflow.services import services

        self.deployment = _deployment(pipeline)
        self.services = services(self.deployment)
        self.ledger = self.services.ledger
        self.remote = self.services.remote

    def record(self, options: argparse.Namespace, day: str | None = None) -> run_record.RunRecord:
        wanted = partition.parse(day or options.partition).isoformat()
        return self.ledger.entry(self.deployment.pipeline, wanted, None if day else options.run_key)

    def manifest(self, record: run_record.RunRecord) -> manifest.Manifest:
        return self.ledger.manifest(record.spec)

    def mirror(self, record: run_record.RunRecord) -> Path:
        at = workspace.home() / "git" / f"{record.pipeline}.git"
        return git.mirror(self.deployment.repository.url, Release(record.release, record.commit), at)

    def describe(self, record: run_record.RunRecord, folder: Path) -> Description:
        """What DVC says of a recorded run's checkout, made again in an empty folder from its commit and its ledger entry."""
        git.checkout(self.mirror(record), record.commit, folder)
        for document in ("run.yaml", "manifest.json", "dvc.lock"):
            (folder / document).write_bytes(self.ledger.file(record, document))
        return self.described(folder)

    def packages(self, record: run_record.RunRecord) -> str:
        """The frozen text of a run's environment."""
        environments, repository = workspace.home() / "environments", self.deployment.repository
        return recorded_environment.packages(record, self.ledger, repository, environments)

    def described(self, checkout: Path) -> Description:
        """What DVC says of a checkout. Nothing is run."""
        own = environment.provide(DEPLOYMENT_DVC, workspace.home() / "environments")
        program = Dvc.of(checkout, own, own, checkout.parent / "cache", {})
        program.configure(self.deployment.store, None)
        return program.describe()


def release(options: argparse.Namespace) -> Answer:
    """Make a tag live."""
    place, api = _Place(options.pipeline), AirflowApi(options.airflow.rstrip("/"))
    origin = options.repository or place.deployment.repository.url

    def examine(checkout: Path) -> None:
        tracked_inputs.require_none(place.described(checkout), options.tag)

    # Where there is no uv, as in the api-server's container, DVC cannot be asked: `reproduce` is the first to ask it then.
    asked = examine if uv.is_there() and os.environ.get("RETRAIN_HOME") else None
    return _pinned(options, pinning.deploy(api, place.ledger, options.pipeline, origin, options.tag, asked))


def rollback(options: argparse.Namespace) -> Answer:
    """Go back to the release before."""
    api = AirflowApi(options.airflow.rstrip("/"))
    return _pinned(options, pinning.roll_back(api, _Place(options.pipeline).ledger, options.pipeline))


def pin(options: argparse.Namespace) -> Answer:
    """Say which release is live."""
    return _pinned(options, pinning.required(AirflowApi(options.airflow.rstrip("/")), options.pipeline))


def _pinned(options: argparse.Namespace, now: Pin) -> Answer:
    lines = [f"{options.pipeline} is on {now.live.tag} ({now.live.commit})"]
    if now.previous:
        lines.append(f"before: {', '.join(release.tag for release in now.previous)}")
    return asdict(now), lines, True


def show_history(options: argparse.Namespace) -> Answer:
    """List the recorded runs: day, release, status, metrics; with --stale, which of them the raw data has left behind."""
    place = _Place(options.pipeline)
    raw = place.deployment.raw
    rows: list[dict[str, Any]] = []
    text = [
        f"{'day':10}  {'release':9}  {'run key':12}  {'recorded (UTC)':19}  {'mode':8}  {'rows':>6}  {'MAE':>6}  status"
    ]
    known = history.runs(
        place.ledger.records(options.pipeline),
        place.ledger.counts(options.pipeline),
        ledger_facts.pruned(place.ledger, options.pipeline),
    )
    for line in known:
        record, note = line.record, line.status
        stale: list[str] = []
        if options.stale and line.status == "live":
            days = partition.window(record.partition, raw.window_days)
            listing = s3.list_versions(place.services.s3, raw.url, f"dt={days[0]}", f"dt={days[-1]}")
            now = manifest.of_listing(record.pipeline, record.partition, raw.url, days, listing, raw.marker)
            stale = history.stale_days(place.manifest(record), {item.key: item for item in now.objects})
        if line.superseded_by:
            note = f"superseded by {line.superseded_by[:12]}"
        if line.pruned:
            note = f"{note}, objects removed by prune"
        if stale:
            note = f"stale: {', '.join(stale[:3])}{' …' if len(stale) > 3 else ''} changed; a backfill reruns it"  # noqa: PLR2004
        if options.stale and not stale:
            continue
        rows.append(
            {
                **record.to_dict(),
                "status": line.status,
                "superseded_by": line.superseded_by,
                "pruned": line.pruned,
                "stale": stale,
            }
        )
        mae, count = record.metrics.get("model.mae"), record.metrics.get("rows")
        text.append(
            f"{record.partition}  {record.release:9}  {record.run_key[:12]}  {record.recorded_at[:19]}  {record.mode:8}  "
            f"{'-' if count is None else int(count):>6}  {'-' if mae is None else format(mae, '.3f'):>6}  {note}"
        )
    return rows, text, True


def restore_run(options: argparse.Namespace) -> Answer:
    """Bring a day back: code, data, model, reports and environment, verified."""
    place = _Place(options.pipeline)
    record = place.record(options)
    to = Path(options.dest).absolute()
    restored = restore.restore(
        record,
        place.ledger,
        place.remote,
        place.deployment.repository,
        to,
        mirror=workspace.home() / "git" / f"{record.pipeline}.git",
        environments=None if options.no_environment else workspace.home() / "environments",
        progress=_bar("files"),
    )
    lines = [
        f"{record.partition} of {record.release} ({record.commit[:12]}) is in {to}: {restored.files} files, {restored.bytes:,} bytes, each verified.",
        f"Its environment: source {to}/.venv/bin/activate"
        if restored.environment
        else "Without its environment, as asked.",
    ]
    return (
        {**asdict(restored), "path": str(to), "environment": str(restored.environment), "run_key": record.run_key},
        lines,
        True,
    )


def verify_runs(options: argparse.Namespace) -> Answer:
    """Check recorded runs against the bucket: every object there, and with its content."""
    place = _Place(options.pipeline)
    records = place.ledger.records(options.pipeline) if options.all else [place.record(options)]
    found = verify.verify(records, place.ledger, place.remote, ledger_facts.pruned(place.ledger, options.pipeline))
    lines = [f"{found.runs} runs, {found.proven} objects proven with {found.requests} requests."]
    lines += [f"{found.pruned} runs were left out: prune removed their objects."] if found.pruned else []
    lines += [f"missing: {name(item)}" for item in found.missing] + [f"wrong: {name(item)}" for item in found.wrong]
    lines += [f"without any proof: {run_key}; run its day again" for run_key in found.unproven]
    return {**asdict(found), "sound": found.sound}, lines, found.sound


def replay_run(options: argparse.Namespace) -> Answer:
    """Compute a day again from the raw bytes, without any cache, and compare every output with the record."""
    place = _Place(options.pipeline)
    record = place.record(options)
    done = replay.replay(record, place.services)
    lines = [
        f"{'same' if c.same else 'OTHER':6} {c.path:28} {c.recorded or '-':36} {c.recomputed or '-'}"
        for c in done.outputs
    ]
    verdict = "Every output is the same" if done.same else "Not every output is the same"
    return (
        {**asdict(done), "same": done.same},
        [*lines, f"{verdict}, after {done.seconds:.0f} s without a cache."],
        done.same,
    )


def explain_runs(options: argparse.Namespace) -> Answer:
    """Say why two days differ: code, environment, parameters, data."""
    place = _Place(options.pipeline)
    one, two = place.record(options), place.record(options, options.other)
    place.mirror(one)
    code = git.changed_files(place.mirror(two), one.commit, two.commit) if one.commit != two.commit else []
    found = explain.explain(
        (one, two),
        (place.manifest(one), place.manifest(two)),
        (entry.params(one, place.ledger), entry.params(two, place.ledger)),
        (place.packages(one), place.packages(two)),
        tuple(code),
    )
    lines = [
        f"{one.partition} {one.release} ({one.run_key[:12]}) against {two.partition} {two.release} ({two.run_key[:12]})"
    ]
    for kind, entries in (
        ("code", code),
        *((k, getattr(found, k)) for k in ("environment", "params", "data", "outputs", "metrics")),
    ):
        lines.append(f"{kind}: {len(entries)} differ" if entries else f"{kind}: the same")
        shown = [e if isinstance(e, str) else f"{e.name}: {e.before} -> {e.after}" for e in entries]
        lines += [f"  {line}" for line in shown[: options.most]]
        lines += [f"  and {len(shown) - options.most} more"] if len(shown) > options.most else []
    return asdict(found), lines, True


def prune_store(options: argparse.Namespace) -> Answer:
    """Remove what no kept ledger entry reaches; says what it would do unless --really."""
    place = _Place(options.pipeline)
    chosen = prune.plan(place.ledger, place.remote, options.pipeline, options.keep_days)
    size = f"{len(chosen.remove)} objects, {chosen.bytes:,} bytes"
    lines = [f"{len(chosen.kept)} runs are kept, {len(chosen.losing)} older ones lose objects: {size}."]
    if options.really:
        gone = prune.carry_out(chosen, place.ledger, place.remote, options.keep_days)
        lines.append(f"{gone} objects were removed.")
    else:
        lines.append("Nothing was removed. Add REALLY=1 to do it.")
    document = {
        "objects": len(chosen.remove),
        "bytes": chosen.bytes,
        "kept": len(chosen.kept),
        "dropped": len(chosen.losing),
        "removed": options.really,
    }
    return document, lines, True


def rebuild_mlflow(options: argparse.Namespace) -> Answer:
    """Tell MLflow again what it lost: runs, metrics, artifacts, model versions, the champion. Only adds; says its plan first."""
    place = _Place(options.pipeline)
    deployment, tracking = place.deployment, place.services.tracking
    since = partition.parse(options.since).isoformat() if options.since else ""
    only = partition.parse(options.partition).isoformat() if options.partition else None
    records = [r for r in place.ledger.records(options.pipeline, only) if r.partition >= since]
    lost = rebuild.plan(records, place.services)
    planned = f"{len(records)} runs are in the ledger, {len(lost)} of them are not whole in MLflow at {tracking.uri}."
    if options.plan:
        lines = [planned, *(f"{each.record.partition}  {each.record.run_key[:12]}" for each in lost)]
        return {"recorded": len(records), "lost": [each.record.run_key for each in lost]}, lines, True
    print(planned, flush=True)  # on standard error, before anything is written
    scratch = workspace.home()
    scratch.mkdir(parents=True, exist_ok=True)
    show = _bar("runs") if lost else lambda _done, _total: None
    outcomes = list(rebuild.rebuild(lost, place.services, place.describe, scratch=scratch, progress=show))
    told = [each for each in outcomes if isinstance(each, rebuild.Rebuilt)]
    failed = [each for each in outcomes if isinstance(each, rebuild.NotRebuilt)]
    model = deployment.tracking.model
    alias = rebuild.champion(tracking, model, place.ledger, options.pipeline) if model else None
    lines = [f"{len(told)} runs told again, {len(records) - len(lost)} were whole, {len(failed)} could not be told."]
    lines += [
        f"{each.partition}  version {each.version}, recorded as {each.recorded_version}"
        for each in told
        if each.version != each.recorded_version
    ]
    lines += [f"{each.partition}  without {', '.join(each.left_out)}: never stored" for each in told if each.left_out]
    lines += [f"{each.partition}  {each.run_key[:12]}  {each.why}" for each in failed]
    lines += [alias.said] if alias else []
    document = {
        "recorded": len(records),
        "told": [asdict(each) for each in told],
        "failed": [asdict(each) for each in failed],
        "champion": asdict(alias) if alias else None,
    }
    return document, lines, not failed and (alias is None or alias.well)


def _bar(what: str) -> Callable[[int, int], None]:
    """A progress bar on stderr, for people; nothing when nobody watches."""
    from rich.console import Console
    from rich.progress import Progress

    if not sys.stderr.isatty():
        return lambda _done, _total: None
    progress = Progress(console=Console(stderr=True))
    progress.start()
    task = progress.add_task(what)

    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)
        if done == total:
            progress.stop()

    return show


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    top = argparse.ArgumentParser(prog="retrain", description=__doc__)
    top.add_argument("--pipeline", default="trip_duration", help="the pipeline (default: %(default)s)")
    top.add_argument("--json", action="store_true", help="answer with JSON")
    top.add_argument(
        "--airflow", default=os.environ.get("RETRAIN_AIRFLOW_URL", "http://127.0.0.1:8080"), help="Airflow's address"
    )
    top.add_argument(
        "--repository", help="the Git origin that holds the tags (default: what the pipeline's file names)"
    )
    commands = top.add_subparsers(required=True)

    def command(
        word: str, what: Callable[[argparse.Namespace], Answer], *, day: bool = False
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(word, help=what.__doc__, description=what.__doc__)
        sub.set_defaults(command=what)
        if day:
            sub.add_argument("partition", nargs="?" if word == "verify" else None, help="YYYY-MM-DD")
            sub.add_argument(
                "--run-key",
                help="the beginning of a run key, when a day has several (default: the one that counts)",
            )
        return sub

    command("release", release).add_argument("tag", help="vX.Y.Z")
    command("rollback", rollback)
    command("pin", pin)
    command("history", show_history).add_argument(
        "--stale", action="store_true", help="only days whose raw data has changed since"
    )
    restoring = command("restore", restore_run, day=True)
    restoring.add_argument("dest", help="an empty folder, or one that is not there yet")
    restoring.add_argument("--no-environment", action="store_true", help="leave the environment out")
    command("verify", verify_runs, day=True).add_argument("--all", action="store_true", help="every recorded run")
    command("replay", replay_run, day=True)
    explaining = command("explain", explain_runs, day=True)
    explaining.add_argument("other", help="the day to compare with, YYYY-MM-DD")
    explaining.add_argument("--most", type=int, default=12, help="names shown of each kind (default: %(default)s)")
    rebuilding = command("rebuild", rebuild_mlflow)
    rebuilding.add_argument("--partition", help="only this day, YYYY-MM-DD")
    rebuilding.add_argument("--since", help="only from this day on, YYYY-MM-DD")
    rebuilding.add_argument("--plan", action="store_true", help="say what is lost, and do nothing")
    pruning = command("prune", prune_store)
    pruning.add_argument("--keep-days", type=int, required=True, help="days, counted back from the newest recorded one")
    pruning.add_argument("--really", action="store_true", help="do it")
    return top


if __name__ == "__main__":
    sys.exit(main())
