"""The MLflow server, reached by no other module: one MLflow run per run key, one model version per run, the champion's alias.

MLflow mirrors the ledger, which decides. Runs and versions are found by tag, so that a retried task makes nothing twice.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.errors import TrackingError
from retrain.run.run_record import Mirrored
from retrain.work.file_lock import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
_RUN_KEY = "run_key"
_PARAM_LIMIT = 6000  # characters, MLflow's
_NAME_LIMIT = 250  # characters, MLflow's
_BATCH = 100
# Without this tag the UI takes the experiment for one of language models and hides its metrics.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_DIGEST_LIMIT = 36  # characters, MLflow's; the whole digest is a tag


@contextmanager
def _naming(action: str, uri: str) -> Iterator[None]:
    """Translate MLflow's errors into TrackingError, which names the action, the place and the next step."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        reason = " ".join(str(error).split())[:400]
        raise TrackingError(
            f"MLflow at {uri} did not {action}: {reason}. Nothing is lost; clear the task when it answers."
        ) from error


def _allowed(name: str) -> str:
    """A name of a parameter or metric that MLflow accepts: `precision@5` becomes `precision_5`; `..` is resolved."""
    plain = re.sub(r"[^/\w.\- :]", "_", name)
    return posixpath.normpath(f"/{plain}").lstrip("/")[:_NAME_LIMIT]


def _pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """All results of one of MLflow's searches, page by page."""
    token = None
    while True:
        page = search(*arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@dataclass(frozen=True)
class MlflowServer:
    """An MLflow server. `lock` is a file with which concurrent tasks find or make a run one at a time.

    Raises:
        TrackingError: every method, if MLflow refuses a request or does not answer.
    """

    uri: str
    lock: Path

    def _client(self) -> MlflowClient:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def accepts(self) -> None:
        """Make the smallest request of the API, which needs the user and password that the server asks for."""
        with _naming("list its experiments", self.uri):
            self._client().search_experiments(max_results=1)

    def record(
        self,
        *,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        dataset: tuple[str, str, str] | None,
        artifacts: Callable[[], Iterator[tuple[Path, str | None]]],
        model: tuple[str, Path] | None,
        at: datetime | None = None,
        version_tags: Mapping[str, str] | None = None,
    ) -> Mirrored:
        """Find or make the run with `tags["run_key"]`, complete it and register its model.

        Args:
            experiment: the experiment's name; it is made if it does not exist.
            name: the run's name.
            tags: the tags of a new run and a new model version.
            params: the parameters; MLflow keeps the first 6000 characters of each.
            metrics: the metrics.
            dataset: name, digest and source URL of the data; None logs no dataset.
            artifacts: yields files and folders, each with the artifact folder that it goes to (None: the top).
            model: the registered model's name, and the model's folder or file; None registers nothing.
            at: start and end of a run that is logged later; by default it starts when it is made and ends now.
            version_tags: more tags of a new model version.

        Returns:
            Where MLflow holds the run. The version is None without a model.
        """
        then = int(at.timestamp() * 1000) if at else None
        run_key = tags[_RUN_KEY]
        client = self._client()
        with _naming("record the run", self.uri):
            with locked(self.lock):
                run = self._find(client, experiment, run_key) or client.create_run(
                    self._experiment(client, experiment), start_time=then, run_name=name, tags=dict(tags)
                )
            run_id = str(run.info.run_id)
            if run.info.status != "FINISHED":
                self._fill(client, run, params, metrics)
                if dataset is not None:
                    self._log_dataset(client, run, *dataset)
                for path, folder in artifacts():
                    (client.log_artifacts if path.is_dir() else client.log_artifact)(run_id, str(path), folder)
                if model is not None:
                    # A model may be one file, of which `log_artifacts` logs nothing without an error.
                    (client.log_artifacts if model[1].is_dir() else client.log_artifact)(run_id, str(model[1]), "model")
                client.set_terminated(run_id, "FINISHED", end_time=then)
            version = None
            if model is not None:
                all_tags = {**tags, **(version_tags or {})}
                with locked(self.lock):
                    version = self._version(client, model[0], run_key) or self._register(
                        client, model[0], run_id, all_tags
                    )
        return Mirrored(run_id, run.info.experiment_id, str(version.version) if version else None)

    @staticmethod
    def _experiment(client: MlflowClient, name: str) -> str:
        found = client.get_experiment_by_name(name)
        return str(found.experiment_id if found else client.create_experiment(name, tags=_EXPERIMENT_TAGS))

    @staticmethod
    def _find(client: MlflowClient, experiment: str, run_key: str) -> Run | None:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return None
        runs = client.search_runs([found.experiment_id], f"tags.`{_RUN_KEY}` = '{run_key}'", max_results=1)
        return runs[0] if runs else None

    @staticmethod
    def _fill(client: MlflowClient, run: Run, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Log the parameters and metrics that the run lacks. Logging a metric twice would add a second value."""
        from mlflow.entities import Metric, Param

        now = run.info.start_time
        texts = {_allowed(k): str(v)[:_PARAM_LIMIT] for k, v in params.items()}
        numbers = {_allowed(k): v for k, v in metrics.items()}
        new_params = [Param(k, v) for k, v in texts.items() if k not in run.data.params]
        new_metrics = [Metric(k, v, now, 0) for k, v in numbers.items() if k not in run.data.metrics]
        for start in range(0, max(len(new_params), len(new_metrics)), _BATCH):
            client.log_batch(
                run.info.run_id,
                metrics=new_metrics[start : start + _BATCH],
                params=new_params[start : start + _BATCH],
            )

    @staticmethod
    def _log_dataset(client: MlflowClient, run: Run, name: str, digest: str, source: str) -> None:
        from mlflow.entities import Dataset, DatasetInput

        short = digest[:_DIGEST_LIMIT]
        if not any(known.dataset.digest == short for known in run.inputs.dataset_inputs):
            data = Dataset(name=name, digest=short, source_type="s3", source=json.dumps({"uri": source}))
            client.log_inputs(run.info.run_id, datasets=[DatasetInput(data)])

    @staticmethod
    def _version(client: MlflowClient, model: str, run_key: str) -> ModelVersion | None:
        found = client.search_model_versions(f"name = '{model}' and tags.`{_RUN_KEY}` = '{run_key}'", max_results=1)
        return found[0] if found else None

    @staticmethod
    def _register(client: MlflowClient, model: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return client.create_model_version(model, source=f"runs:/{run_id}/model", run_id=run_id, tags=dict(tags))

    def finished(self, experiment: str, model: str | None) -> dict[str, Mirrored]:
        """The finished runs of an experiment by run key, each with its version of `model`, if there is one."""
        with _naming("list its runs", self.uri):
            client = self._client()
            place = client.get_experiment_by_name(experiment)
            runs = _pages(client.search_runs, [place.experiment_id], "attributes.status = 'FINISHED'") if place else ()
            versions = _pages(client.search_model_versions, f"name = '{model}'") if model else ()
            by_key = {version.tags.get(_RUN_KEY): str(version.version) for version in versions}
            return {
                run.data.tags[_RUN_KEY]: Mirrored(
                    str(run.info.run_id), str(run.info.experiment_id), by_key.get(run.data.tags[_RUN_KEY])
                )
                for run in runs
                if _RUN_KEY in run.data.tags
            }

    def has_artifacts(self, run_id: str, folders: Iterable[str]) -> bool:
        """True if each of these artifact folders of a run holds something."""
        with _naming("list a run's artifacts", self.uri):
            return all(self._client().list_artifacts(run_id, folder) for folder in folders)

    def reopen(self, run_id: str) -> None:
        """Set a finished run to RUNNING, so that `record` logs its lost artifacts again."""
        with _naming("reopen a run", self.uri):
            self._client().update_run(run_id, status="RUNNING")

    def version_of(self, model: str, run_key: str) -> str | None:
        """The version of a model that is registered for a run key; None if there is none."""
        with _naming("name a model version", self.uri):
            found = self._version(self._client(), model, run_key)
        return str(found.version) if found else None

    def champion(self, model: str) -> dict[str, str] | None:
        """The champion's tags, with its `version` and `run_id`; None if there is no champion."""
        from mlflow.exceptions import MlflowException

        with _naming("name the champion", self.uri):
            try:
                version = self._client().get_model_version_by_alias(model, CHAMPION)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return {**version.tags, "version": str(version.version), "run_id": str(version.run_id)}

    def newest_partition(self, model: str, since: str, until: str) -> str:
        """The newest partition from `since` to `until` with a version of the model; empty if there is none.

        Later partitions are ignored: a version of a day in the future was made by mistake. Costs one request per year, from
        the newest year back to the first one that has a version, however many versions the model has.
        """
        with _naming("list model versions", self.uri):
            client = self._client()
            for year in range(int(until[:4]), int(since[:4]) - 1, -1):
                text = f"name = '{model}' and tags.partition LIKE '{year:04}-%'"
                partitions = (str(each.tags["partition"]) for each in _pages(client.search_model_versions, text))
                if found := max((each for each in partitions if since <= each <= until), default=""):
                    return found
            return ""

    def download_model(self, run_id: str, to: Path) -> Path:
        """Download the model of a run below `to`; returns its folder."""
        with _naming("hand out a model", self.uri):
            return Path(self._client().download_artifacts(run_id, "model", str(to)))

    def promote(self, model: str, version: str) -> None:
        """Move the champion's alias to a version."""
        with _naming("move the champion's alias", self.uri):
            self._client().set_registered_model_alias(model, CHAMPION, version)
