"""What each of the DAG's tasks does, in the DAG's order. Each takes and returns the types of `retrain.results`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from retrain.alerts import verdicts
from retrain.alerts.tell import tell
from retrain.archive import recorded_environment
from retrain.deployment.sections import Promotion
from retrain.errors import (
    ConfigurationError,
    DvcLockError,
    EnvironmentDefinitionError,
    EnvironmentGoneError,
    NoPinError,
    ReportError,
    ScoreError,
    UnknownEntryError,
)
from retrain.judge import error_picture, judging, promotion
from retrain.judge.day import number
from retrain.judge.spell import State
from retrain.results import Checked, Promoted, Pushed, Recorded, Removed, Reproduced, Resolved
from retrain.run import manifest, partition, release
from retrain.run.run_record import RunRecord
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import ledger_facts, proving, s3
from retrain.store.cached_objects import objects_of
from retrain.store.ledger import DESCRIPTION, ENVIRONMENT
from retrain.tracking import tracked_run
from retrain.work import git, process, workspace
from retrain.work.dvc import tracked_inputs
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment
from retrain.work.file_lock import locked
from retrain.work.workspace import Workspace

log = logging.getLogger(__name__)

_SCORE_TIMEOUT = 900.0
_AROUND_REPRO = 1800.0  # seconds that a run may take beside its `dvc repro`: checkout, environment
_PROMOTION_TIMEOUT = 3600.0


def resolve_run(services: Services, day: str, tag: str | None, dag_run: str, mode: str) -> Resolved:
    """Pin -> tag -> commit, and the raw objects of the window: the run spec, kept for all later tasks."""
    deployment = services.deployment
    workspace.home().mkdir(parents=True, exist_ok=True)
    chosen = _release(services, tag)
    days = partition.window(day, deployment.raw.window_days)
    listing = s3.list_versions(services.s3, deployment.raw.url, f"dt={days[0]}", f"dt={days[-1]}")
    objects = manifest.of_listing(deployment.pipeline, day, deployment.raw.url, days, listing, deployment.raw.marker)
    spec = RunSpec(deployment.pipeline, day, chosen.tag, chosen.commit, objects.digest)
    services.ledger.put_manifest(spec, objects)
    log.info(
        "%s: %s of %d days landed, release %s (%s), run key %s",
        day,
        objects.days,
        len(days),
        chosen.tag,
        chosen.commit,
        spec.run_key,
    )
    return Resolved.of(spec, dag_run, mode)


def _release(services: Services, tag: str | None) -> release.Release:
    """The release asked for by Param, else the pinned one. Its tag must still name the commit that it had at first."""
    origin, pin = services.deployment.repository.url, services.pins.pin(services.pipeline)
    if tag is None and pin is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {release.variable(services.pipeline)} is not set. "
            "Run: make release TAG=vX.Y.Z"
        )
    wanted = tag or (pin.live.tag if pin else "")
    at_origin = release.Release(wanted, git.commit_of_tag(origin, wanted, cwd=workspace.home()))
    if tag is None and pin is not None:
        release.confirm(pin.live, at_origin.commit)
    return ledger_facts.fix_tag(services.ledger, services.pipeline, at_origin, pin)


def reproduce(services: Services, run: Resolved) -> Reproduced:
    """A fresh workspace of the run's commit, the release's own environment, `dvc repro`. A failed attempt removes its workspace.

    Two runs of one run key take turns: the second one finds everything in the cache.
    """
    deployment, spec, home = services.deployment, run.spec, workspace.home()
    workspace.require_space(home, deployment.limits.min_free_disk_mb)
    objects = services.ledger.manifest(spec)
    limit = deployment.limits.reproduce_minutes * 60.0
    with locked(
        home / "locks" / f"{spec.pipeline}-{spec.run_key}",
        what=f"another run of {spec.partition} with the same run key",
        timeout=limit + _AROUND_REPRO,
    ):
        place = workspace.create(
            deployment.repository.url,
            spec,
            objects,
            dag_run=run.dag_run,
            min_free_mb=deployment.limits.min_free_disk_mb,
        )
        try:
            built = environment.provide(_project(services, place), home / "environments")
            with _dvc(services, place, built) as program:
                program.configure(deployment.store, services.credentials.endpoint())
                declared = program.describe()
                tracked_inputs.require_none(declared, run.release)
                done = program.repro(declared, limit)
                described = program.describe()
            _require_described(described, place)
            place.description.write_text(described.to_json(), encoding="utf-8")
            place.write(ENVIRONMENT, built.frozen.read_text(encoding="utf-8"))
            # What a stage out of the cache has read is known to be the manifest's only once the run is recorded.
            if done.executed or not services.ledger.has(spec):
                s3.require_unchanged(services.s3, objects)
        except BaseException:
            workspace.discard(place)
            raise
    log.info("executed: %s; from the cache: %s", ", ".join(done.executed) or "-", ", ".join(done.cached) or "-")
    return Reproduced(str(place.path), built.identity, threads(), done.stages, round(done.seconds, 1))


def _require_described(described: Description, place: Workspace) -> None:
    """Refuse a checkout of whose outputs one would be left without a proof.

    Raises:
        DvcLockError: there is no dvc.lock, or one names an output that DVC did not describe.
    """
    known = {output.md5 for output in described.outputs}
    for file in sorted({"dvc.yaml", *(stage.file for stage in described.stages if stage.reached)}):
        lock = (place.checkout / file).with_suffix(".lock")
        if not lock.is_file():
            raise DvcLockError(
                f"{lock.name} of {file} is not there after dvc repro: no stage was run. Add one in a new release."
            )
        # `dvc repro` leaves alone what it does not reach; a frozen stage of it keeps its place in dvc.lock.
        left = {each.name.rpartition(":")[2] for each in described.stages if each.file == file and not each.reached}
        for stage, path, md5 in dvc_lock_outputs(lock.read_text(encoding="utf-8")):
            if md5 not in known and stage not in left:
                raise DvcLockError(
                    f"{lock.name} of {file} has {path} of stage {stage} ({md5}), which DVC does not name when it describes the "
                    "checkout. Remove stages that are no more from it in a new release."
                )


def _project(services: Services, place: Workspace) -> Path:
    """The folder of the checkout that describes the release's environment."""
    return place.checkout / services.deployment.repository.environment


@contextmanager
def _dvc(services: Services, place: Workspace, built: environment.Environment) -> Iterator[Dvc]:
    """DVC in a workspace, with the pipeline's credentials for as long as the context lasts."""
    home = workspace.home()
    own = environment.provide(DEPLOYMENT_DVC, home / "environments")
    with services.credentials.child_environment() as access:
        extra = {
            **access,
            "RAW_CACHE_DIR": str(home / "raw" / services.pipeline),
            "OMP_NUM_THREADS": str(threads()),
        }
        yield Dvc.of(place.checkout, built, own, _cache(services), extra)


def threads() -> int:
    """OMP_NUM_THREADS of the stages: what the worker's environment says, else 2. Recorded, because sums may depend on it.

    Raises:
        ConfigurationError: the worker's environment says no whole number above 0.
    """
    said = os.environ.get("OMP_NUM_THREADS") or "2"
    if not said.isdecimal() or int(said) < 1:
        raise ConfigurationError(
            f"OMP_NUM_THREADS={said!r} of the worker is not a whole number above 0. Correct the worker's environment, then clear the task."
        )
    return int(said)


def push(services: Services, run: Resolved, reproduced: Reproduced) -> Pushed:
    """`dvc push`, then the proof that every object reachable from dvc.lock is on the remote: the receipt, kept in the ledger."""
    spec, place = run.spec, Workspace(Path(reproduced.workspace))
    described = _described(place)
    earlier = services.ledger.earlier_receipt(spec.pipeline, spec.partition)
    with _dvc(services, place, _environment(reproduced)) as program:
        proven = proving.push_and_prove(
            program.push,
            services.remote,
            objects_of(described.stored, program.cache),
            program.cache,
            earlier.by_key if earlier and earlier.remote == services.deployment.store else {},
        )
    proven.receipt.require([output.item for output in described.stored])
    name = services.ledger.put_receipt(spec, proven.receipt)
    objects, size = len(proven.receipt.proofs), proven.receipt.size
    log.info(
        "%d objects, %d bytes proven on %s: %d sent, %d healed, %d requests, %.1f s",
        objects,
        size,
        services.deployment.store,
        proven.sent,
        proven.healed,
        proven.requests,
        proven.seconds,
    )
    return Pushed(name, objects, size, proven.sent, proven.healed, proven.requests, proven.seconds)


def _described(place: Workspace) -> Description:
    """What `reproduce` noted of the checkout."""
    return Description.from_json(place.description.read_text(encoding="utf-8"), str(place.description))


def _cache(services: Services) -> Path:
    return workspace.home() / "cache" / services.pipeline


def _environment(reproduced: Reproduced) -> environment.Environment:
    """The very environment that `reproduce` ran in, installed again if the image that it came with is not this one any more."""
    environments = workspace.home() / "environments"
    there = environment.known(environments, reproduced.environment)
    if there is not None:
        return there
    frozen = Path(reproduced.workspace) / ENVIRONMENT
    return environment.install(frozen.read_text(encoding="utf-8"), environments)


def record_run(services: Services, run: Resolved, reproduced: Reproduced, pushed: Pushed) -> Recorded:
    """The ledger's entry, create-only, and which run of the day counts now; then MLflow's run and model version, which mirror it."""
    spec, place, ledger = run.spec, Workspace(Path(reproduced.workspace)), services.ledger
    described = _described(place)
    receipt = ledger.receipt(spec, pushed.receipt)
    receipt.require(objects_of(described.stored, _cache(services)))
    record = RunRecord(
        **spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run=run.dag_run,
        mode=run.mode,
        environment=reproduced.environment,
        threads=reproduced.threads,
        raw_versioned=ledger.manifest(spec).versioned,
        outputs={output.path: output.md5 for output in described.outputs},
        metrics=described.metric_values(),
        objects=pushed.objects,
        size=pushed.bytes,
    )
    files = {
        "dvc.lock": (place.checkout / "dvc.lock").read_text(encoding="utf-8"),
        "run.yaml": spec.run_yaml(),
        ENVIRONMENT: (place.path / ENVIRONMENT).read_text(encoding="utf-8"),
        DESCRIPTION: described.to_json(),
    }
    new = ledger.commit(record, files, receipt)
    log.info("run %s is %s", spec.run_key, "committed" if new else "already committed, with the same bytes")
    ledger_facts.note_stages(
        ledger, spec, place.path.name, reproduced.stages, environment=reproduced.environment, dag_run=run.dag_run
    )
    ledger_facts.note_stored(ledger, spec)
    if ledger_facts.count(ledger, spec, run.dag_run, run.mode):
        log.info("it is the run of %s that counts", spec.partition)
    where = tracked_run.record(
        services.tracking,
        services.deployment,
        tracked_run.TrackedRun(
            spec,
            run.dag_run,
            run.mode,
            reproduced.environment,
            record.metrics,
            services.deployment.raw.url,
            described,
            place.checkout,
            place.write("receipt.json", receipt.to_json()),
        ),
    )
    ledger_facts.mirror(ledger, spec, where)
    return Recorded(
        new, where.run_id, where.experiment_id, where.model_version, tracked_run.address(where), record.metrics
    )


def check_drift(
    services: Services, run: Resolved, reproduced: Reproduced, recorded: Recorded, log_url: str
) -> Checked | None:
    """Judge the day, keep it for the days to come, and leave a signal of each verdict; None for a pipeline without such policies.

    A backfill's days, and a day that a newer one has followed, are history: kept, without a signal.
    """
    deployment, spec = services.deployment, run.spec
    if deployment.drift is None and deployment.performance is None:
        return None
    checkout = Workspace(Path(reproduced.workspace)).checkout
    judged = judging.judge_day(deployment, services.ledger, spec, checkout)
    for verdict in filter(None, (judged.drift, judged.performance)):
        log.info("%s: %s %s", verdict.state, " ".join(verdict.reasons) or "nothing to say.", verdict.confidence_reason)
    told = not run.is_backfill and judged.newest
    if told:
        _tell_verdicts(services, spec, judged, checkout, {"log_url": log_url, "mlflow_url": recorded.url})
    return Checked(judged.drift, judged.performance, told)


def _tell_verdicts(
    services: Services, spec: RunSpec, judged: judging.Judged, checkout: Path, links: dict[str, str]
) -> None:
    """One signal a verdict, with its picture while it is in alert."""
    deployment = services.deployment
    if judged.drift and deployment.drift:
        drawn = deployment.drift.picture
        pictures = {}
        if drawn and judged.drift.state is State.ALERT and (checkout / drawn).is_file():
            pictures[f"{spec.partition}-{spec.run_key[:12]}-drift.png"] = (checkout / drawn).read_bytes()
        shown = tuple((name, f"Drift on {spec.partition}: reference against current") for name in pictures)
        tell(verdicts.of_drift(spec, judged.drift, links, _now(), shown), pictures)
    if judged.performance and deployment.performance:
        pictures = {}
        if judged.performance.state is State.ALERT:
            promotions = [
                name[: len(spec.partition)] for name in services.ledger.event_names(spec.pipeline, "promotions")
            ]
            picture = error_picture.draw(
                judged.days, judged.errors, judged.releases, promotions, deployment.performance.unit
            )
            pictures[f"{spec.partition}-{spec.run_key[:12]}-error.png"] = picture
        shown = tuple((name, f"{judged.performance.metric} of the last weeks") for name in pictures)
        tell(verdicts.of_performance(spec, judged.performance, links, _now(), shown), pictures)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def promote(services: Services, run: Resolved, reproduced: Reproduced, recorded: Recorded) -> Promoted | None:
    """Challenger against champion on the partition's rows, each scored in a process of its own; moves the alias or says why not.

    None for a pipeline without a model. One promotion of a pipeline at a time, so that an older day cannot overtake a newer one.
    """
    gate, model = services.deployment.promotion, services.deployment.tracking.model
    if gate is None or model is None or recorded.model_version is None:
        return None
    with locked(
        workspace.home() / "locks" / f"{services.pipeline}.promotion",
        what=f"another promotion of {services.pipeline}",
        timeout=_PROMOTION_TIMEOUT,
    ):
        return _promote(services, gate, model, run, reproduced, recorded, recorded.model_version)


def _promote(
    services: Services,
    gate: Promotion,
    model: str,
    run: Resolved,
    reproduced: Reproduced,
    recorded: Recorded,
    version: str,
) -> Promoted:
    spec, tracking = run.spec, services.tracking
    tags = tracking.champion(model)
    if tags is not None and "partition" not in tags:
        raise ScoreError(
            f"The champion, version {tags['version']} of {model}, was not registered by a run: it has no partition among its tags. "
            "Move the alias to a version that was, or remove it."
        )
    champion = promotion.Champion(tags["version"], tags["partition"]) if tags else None
    if champion is not None and champion.version == version:
        return Promoted(promoted=False, version=version, reason="This version is the champion already.")
    today = datetime.now(ZoneInfo(services.deployment.schedule.timezone)).date().isoformat()
    decision = promotion.may_compete(
        spec.partition, champion, tracking.newest_partition(model, until=today), backfill=run.is_backfill
    )
    if not decision.promote:
        log.info("%s", decision.reason)
        return Promoted(promoted=False, version=version, reason=decision.reason)

    place = Workspace(Path(reproduced.workspace))
    measured = judging.read_json(place.checkout / gate.metrics)
    own = _environment(reproduced)
    challenger = _score(gate, place, own, place.checkout / _described(place).models[0], "challenger")
    rival = None
    if tags is not None:
        downloaded = tracking.download_model(tags["run_id"], place.scratch("champion"))
        rival = _score(gate, place, _environment_of_champion(services, tags), downloaded, "champion")
    try:
        baselines = {name: number(measured, name, gate.metric) for name in gate.baselines}
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{gate.metrics} has no {gate.metric} of the baseline {error}. Correct promotion in the pipeline's file."
        ) from error
    decision = promotion.judge(gate.metric, challenger, rival, baselines)
    log.info("%s", decision.reason)
    why = promotion.worth_a_message(decision, spec.partition, champion, gate.champion_days)
    facts = {
        "reason": why or decision.reason,
        "metric": gate.metric,
        "challenger": {"version": version, gate.metric: challenger},
        "champion": {
            "version": champion.version,
            "partition": champion.partition,
            "age_days": (partition.parse(spec.partition) - partition.parse(champion.partition)).days,
            gate.metric: rival,
        }
        if champion
        else None,
        "baselines": baselines,
        "mlflow_url": recorded.url,
    }
    if decision.promote:
        event = {
            "from": tags["version"] if tags else None,
            "to": version,
            "reason": decision.reason,
            "run_key": spec.run_key,
        }
        # Before the alias: killed in between, a second try moves it; after it, a second try would find nothing to do.
        services.ledger.event(spec.pipeline, "promotions", f"{spec.partition}-{spec.run_key}", event)
        tracking.promote(model, version)
        tell(verdicts.promoted(spec, _now(), version, champion, decision.reason))
    tell(verdicts.of_promotion(spec, _now(), facts, alert=why is not None, promoted=decision.promote))
    return Promoted(promoted=decision.promote, version=version, reason=decision.reason)


def _environment_of_champion(services: Services, tags: dict[str, str]) -> environment.Environment:
    """The environment that the champion was trained in, installed again from its ledger entry if need be.

    A model that another environment loads may give other numbers, or none.
    """
    environments = workspace.home() / "environments"
    there = environment.known(environments, tags.get("environment", ""))
    if there is not None:
        return there
    try:
        record = services.ledger.entry(services.pipeline, tags["partition"], tags.get("run_key"))
        return recorded_environment.provide(record, services.ledger, services.deployment.repository, environments)
    except (EnvironmentGoneError, EnvironmentDefinitionError, UnknownEntryError) as error:
        raise ScoreError(
            f"The champion, version {tags['version']} of {tags['partition']}, cannot be scored without its own environment: "
            f"{error} The champion is unchanged, and no model is promoted until this is fixed."
        ) from error


def _score(gate: Promotion, place: Workspace, built: environment.Environment, model: Path, name: str) -> float:
    """One model's metric on the partition's rows."""
    program, *arguments = gate.score
    out = place.path / f"{name}.json"
    path = os.pathsep.join([str(built.bin), os.environ.get("PATH", os.defpath)])
    env = process.environment(PATH=path, PYTHONDONTWRITEBYTECODE="1")
    done = process.run(
        [built.bin / program, *arguments, model, place.checkout / gate.rows, out],
        cwd=place.checkout,
        env=env,
        timeout=_SCORE_TIMEOUT,
    )
    if done.returncode != 0 or not out.is_file():
        raise ScoreError(
            f"The {name} could not be scored: {done.lines[-1] if done.lines else 'no output'}. The champion is unchanged."
        )
    try:
        return number(judging.read_json(out), gate.metric)
    except (KeyError, TypeError, ValueError) as error:
        raise ScoreError(
            f"{' '.join(gate.score)} wrote no number {gate.metric} for the {name} ({error!r}). The champion is unchanged. "
            "Correct promotion in the pipeline's file, or the program in a new release."
        ) from error


def remove_workspace(services: Services, dag_run: str) -> Removed:
    """Remove all attempts of this DAG run; what they made is in the cache, on the remote and in the ledger."""
    return Removed(tuple(workspace.remove(services.pipeline, dag_run)))
