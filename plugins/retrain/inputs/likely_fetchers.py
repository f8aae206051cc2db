"""Finds the stages that likely fetch their own data, by the traces of it in their commands and in their code."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retrain.inputs.code_files import is_code
from retrain.inputs.stage_graph import StageGraph, touch
from retrain.work.dvc.declared import Stage
from retrain.work.dvc.description import Description

_IN_COMMAND = re.compile(
    r"(?<![\w./-])(?:wget|curl|kaggle|gdown|aria2c|rclone|gsutil|azcopy|bq|psql|mysql|snowsql|sqlcmd|aws\s+s3(?:api)?|"
    r"gcloud\s+storage|huggingface-cli|hf\s+download|dvc\s+(?:get|import|import-url|pull|update)|git\s+(?:clone|pull))(?![\w-])"
    r"|\b(?:s3|gs|abfss?|https?|ftp|postgres(?:ql)?|mysql)://[^\s'\"]+"
)
_IN_CODE = re.compile(
    r"\b(?:requests|httpx)\.(?:get|post|request|Session|Client|stream)\b|\burllib\d?\.request\b|\burlretrieve\b|\burlopen\b"
    r"|\baiohttp\.ClientSession\b|\b(?:import|from)\s+(?:boto3|s3fs|gcsfs|kaggle|kagglehub|gdown|yfinance|pandas_datareader|sqlalchemy"
    r"|psycopg2?|pymysql|pymongo|snowflake|clickhouse_\w+|openml|ucimlrepo|sodapy|paramiko|opendatasets)\b"
    r"|\bgoogle\.cloud(?:\.|\s+import\s+)(?:bigquery|storage)\b|\bread_(?:sql|gbq)(?:_\w+)?\(|\bfetch_[a-z0-9_]+\("
    r"|\bload_dataset\(|\bsnapshot_download\(|\bhf_hub_download\("
    r"|\bread_\w+\(\s*f?[\"'](?:https?|s3|gs|ftp)://|[\"'](?:s3|gs|abfss?)://|\bdownload\.file\(|\bGET\(|\bdbConnect\("
)
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class LikelyFetcher:
    """A stage that likely fetches its own data. `evidence` is the trace of it, `place` the file with it or `its command`."""

    stage: str
    evidence: str
    place: str


def likely_fetchers(described: Description, texts: Mapping[str, str]) -> list[LikelyFetcher]:
    """The stages of a checkout that likely fetch their own data, each with its first trace.

    A stage's command and the programs in it count for every stage. Other code that it depends on counts only for a stage that
    needs no other stage: the stages after it often share that code.

    Args:
        described: the checkout.
        texts: the code files of the checkout by path. Files that are not in it are not looked at.
    """
    graph = StageGraph.of(described)
    found = []
    for name, stage in graph.stages.items():
        if stage.frozen:
            continue
        files = dict.fromkeys(_programs(stage, texts))
        if not graph.needs[name]:
            own = [path for path in texts if is_code(path) and any(touch(dep, path) for dep in stage.deps)]
            files |= dict.fromkeys(own)
        trace = _trace(stage, files, texts)
        if trace is not None:
            found.append(trace)
    return found


def _trace(stage: Stage, files: Mapping[str, None], texts: Mapping[str, str]) -> LikelyFetcher | None:
    for command in stage.cmd:
        if seen := _IN_COMMAND.search(command):
            return LikelyFetcher(stage.name, " ".join(seen[0].split()), "its command")
    for path in files:
        if seen := _IN_CODE.search(texts[path]) or (_IN_COMMAND.search(texts[path]) if path.endswith(".sh") else None):
            return LikelyFetcher(stage.name, " ".join(seen[0].split()).rstrip("("), path)
    return None


def _programs(stage: Stage, texts: Mapping[str, str]) -> Iterator[str]:
    """The files of the checkout that a command runs: named by their paths, or as Python modules (`python -m prep.download`)."""
    for command in stage.cmd:
        for word in _words(command):
            path = posixpath.normpath(posixpath.join(stage.wdir, word))
            module = posixpath.normpath(posixpath.join(stage.wdir, word.replace(".", "/")))
            named = [path, f"{module}.py", f"{module}/__main__.py"] if _MODULE.fullmatch(word) else [path]
            yield from (each for each in named if each in texts)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # quotes that only the shell understands
        return command.split()
