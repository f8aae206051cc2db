"""A pipeline whose packages are named beside its file, and a release whose packages are refused before it is pinned."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_pipeline import DAY, PIPELINE, Pipeline
from laid_pipeline import LaidPipeline

from retrain.airflow.adapters import services
from retrain.errors import EnvironmentDefinitionError
from retrain.inputs.release_check import require_runnable
from retrain.results import Resolved
from retrain.run.manifest import Manifest
from retrain.store.ledger import ENVIRONMENT
from retrain.tasks.reproduce import reproduce
from retrain.work.environments import release_packages
from retrain.work.environments.errors import LocalPathError, SuppliedLockError

SETTINGS = "inputs: [{path: data/raw}, {path: data/table.csv, days: partition, names: file}]\n"


@pytest.fixture
def laid(s3, bucket, deployment_dvc, tmp_path, monkeypatch, request):
    pipeline = Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)
    return LaidPipeline(pipeline, s3, bucket(versioned=True), tmp_path)


def manifest(laid, settings, *objects):
    """The manifest that `resolve_run` makes."""
    deployment = laid.deployment(settings)
    chosen = deployment.run_settings(lock=release_packages.supplied_sha256(deployment))
    return Manifest(PIPELINE, DAY, laid.root, tuple(sorted(objects)), chosen)


def test_a_run_has_the_packages_of_the_supplied_lock_and_a_changed_lock_is_another_run(laid, tmp_path):
    laid.release({"uv.lock": None, "pyproject.toml": None, "environment.yml": "name: x\n"})
    settings = SETTINGS + "packages: {lock: own.txt}\n"
    objects = [laid.land(f"dt={DAY}/orders.csv")]
    (tmp_path / "own.txt").write_text("six==1.16.0\n")
    first = manifest(laid, settings, *objects)
    (tmp_path / "own.txt").write_text("six==1.17.0\n")
    second = manifest(laid, settings, *objects)
    assert (first.digest == second.digest, first.settings.packages.lock == second.settings.packages.lock) == (
        False,
        False,
    )
    own = services(laid.deployment(settings))
    spec = laid.spec(second)
    own.ledger.put_manifest(spec, second)
    done = reproduce(own, Resolved.of(spec, "manual", "daily"))
    assert "\nsix==1.17.0 " in (Path(done.workspace) / ENVIRONMENT).read_text()
    stale = laid.spec(first)
    own.ledger.put_manifest(stale, first)
    with pytest.raises(SuppliedLockError, match=r"own\.txt was changed after the run was resolved"):
        reproduce(own, Resolved.of(stale, "manual", "daily"))


@pytest.mark.parametrize(
    ("files", "settings", "error"),
    [
        pytest.param(
            {"uv.lock": None, "requirements.txt": "six\n./nope\n"}, "", LocalPathError, id="a path that does not exist"
        ),
        pytest.param(
            {"uv.lock": None, "requirements.txt": "no-such-package-as-this==1\n"},
            "",
            EnvironmentDefinitionError,
            id="no such package",
        ),
        pytest.param({}, "packages: {lock: absent.txt}\n", SuppliedLockError, id="no supplied lock"),
    ],
)
def test_a_release_whose_environment_cannot_be_made_is_refused_before_it_is_pinned(
    laid, tmp_path, files, settings, error
):
    laid.release(files)
    checkout = laid.checkout(tmp_path / "examined" / "checkout")
    deployment, dvc = laid.deployment(SETTINGS + settings), laid.dvc(checkout)
    with pytest.raises(error):
        require_runnable(deployment, checkout, checkout, dvc, services(deployment).tracked, "v1.0.0")
