"""Calls of MLflow, DVCLive and other trackers in the code of the stages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrain.adoption import python_code
from retrain.adoption.observation import Observation, listed, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode

TOPIC = "tracking"
_ADDRESS = re.compile(r"(?:https?|databricks|postgresql|mysql)\S*")
_OF_MLFLOW = re.compile(r"https?://(?:localhost|127\.0\.0\.1|[^/\s]*mlflow|dagshub\.com)\S*")
_SETTING = re.compile(r"tracking_ur[il][\"']?\s*[:=]\s*[\"']?(https?://[^\s\"',}]+)", re.IGNORECASE)
# What a call asks for, and the variable from which its library takes it.
_ASKS = {
    "dagshub.init": ("asks DagsHub for a login", "DAGSHUB_USER_TOKEN"),
    "wandb.init": ("asks Weights & Biases for a login", "WANDB_API_KEY"),
    "neptune.init_run": ("needs a token of Neptune", "NEPTUNE_API_TOKEN"),
    "comet_ml.Experiment": ("needs a key of Comet", "COMET_API_KEY"),
    "kaggle.api.authenticate": ("needs a key of Kaggle", "KAGGLE_KEY"),
    "huggingface_hub.login": ("asks Hugging Face for a login", "HF_TOKEN"),
}


def observations(code: PipelineCode) -> Iterator[Observation]:
    """Where do the stages' own tracking calls go?"""
    addressed: set[str] = set()
    logging: dict[str, str] = {}
    for each, file, call in code.calls():
        if call.name == "mlflow.set_tracking_uri":
            addressed.add(file)
            uri = next(iter(call.texts), "") or str(call.keywords.get("uri", ""))
            uri = uri or _configured(code, file)
            if _ADDRESS.fullmatch(uri):
                yield stops(
                    TOPIC, f"{file}:{call.line}", f"sends to the MLflow server {_host(uri)}, which a run cannot reach or sign in to.",
                    "remove set_tracking_uri: the run is recorded in MLflow after the stages, with params, metrics and model.",
                )  # fmt: skip
        elif call.name in ("mlflow.start_run", "mlflow.autolog") or re.fullmatch(
            r"mlflow\.(\w+\.)?(log_\w+|autolog)", call.name
        ):
            logging.setdefault(file, each.stage.name)
        elif call.name in _ASKS:
            asks, variable = _ASKS[call.name]
            yield stops(
                TOPIC,
                f"{file}:{call.line}",
                f"{call.name} {asks}, and a run has none.",
                f"name it in the pipeline's file, secrets: {{{variable}: {{connection: <id>}}}}; or remove the call.",
            )
    for file, stage in logging.items():
        yield surprises(
            TOPIC, file, f"stage {stage} logs to MLflow by itself: {'' if file in addressed else 'without an address '}its runs stay in "
            "the workspace, which is removed.",
            "nothing is lost of what dvc.yaml declares: params, metrics, plots and models are recorded after the stages.",
        )  # fmt: skip
    yield from _dvclive(code)


def _configured(code: PipelineCode, file: str) -> str:
    """The address of MLflow in the texts of a file, or in a settings file; empty if there is none."""
    own = [text for text in python_code.read(code.snapshot.texts[file]).texts if _OF_MLFLOW.fullmatch(text)]
    settings = (
        match[1]
        for path, text in code.snapshot.texts.items()
        if path.endswith((".yaml", ".yml", ".toml", ".json"))
        for match in _SETTING.finditer(text)
    )
    return next(iter(own), "") or next(settings, "")


def _dvclive(code: PipelineCode) -> Iterator[Observation]:
    users = {
        file: each.stage.name
        for each in code.running
        for file in each.files
        if any(i.module.partition(".")[0] == "dvclive" for i in python_code.read(code.snapshot.texts[file]).imports)
    }
    silent = {
        file
        for _, file, call in code.calls()
        if call.name.rpartition(".")[2] in ("Live", "DVCLiveCallback")
        and call.keywords.get("dvcyaml", True) in (None, False, "None", "False")
    }
    for file, stage in users.items():
        if file not in silent:
            yield surprises(
                TOPIC, file, f"stage {stage} uses DVCLive, which rewrites dvc.yaml while dvc repro runs.",
                "write Live(dvcyaml=None), and declare its metrics and plots in dvc.yaml.",
            )  # fmt: skip


def _host(uri: str) -> str:
    # A literal address may have a login in it.
    return uri.partition("://")[2].rpartition("@")[2].partition("/")[0] or uri.partition("://")[0]


def servers(code: PipelineCode) -> str:
    """The trackers that the stages call, for the proposed file's comment."""
    return listed(
        dict.fromkeys(
            call.name.partition(".")[0] for _, _, call in code.calls() if call.name.startswith(("mlflow.", "dvclive."))
        )
    )
