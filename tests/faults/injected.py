"""The twelve faults: how each is made, and what its message must say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Each pipeline is ours with these changes. One per fault, so that no fault is hidden by the message of another.
PIPELINES: dict[str, dict[str, Any]] = {
    "schema": {},
    "empty_partition": {},
    "s3_403": {"aws_conn_id": "aws_forbidden"},
    "s3_down": {},
    "disk_full": {},
    "failing_import": {},
    "out_of_memory": {},
    "moved_tag": {},
    "mlflow_down": {},
    "corrupted_object": {},
    "late_data": {"raw": {"give_up_after_hours": 0.002}},
    "stage_timeout": {"limits": {"reproduce_minutes": 1, "retries": 0}},
    "killed_worker": {"limits": {"retries": 0}},
}

# tag -> (module, the code that its stage runs first)
RELEASES = {
    "v1.1.0": ("pipeline/train.py", "import a_package_that_nobody_has"),
    # As the kernel kills the largest process when memory is short.
    "v1.2.0": ("pipeline/train.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    "v1.3.0": ("pipeline/train.py", "import threading\nthreading.Event().wait(600)"),
    # The kernel answers each write to this device as it does on a full disk.
    "v1.4.0": ("pipeline/train.py", 'with open("/dev/full", "w") as file:\n    file.write("model")'),
    "v1.5.0": (
        "pipeline/drift.py",
        """
import configparser, os, pathlib, yaml
config = configparser.ConfigParser()
config.read(".dvc/config.local")
outs = yaml.safe_load(pathlib.Path("dvc.lock").read_text())["stages"]["evaluate"]["outs"]
md5 = next(out["md5"] for out in outs if out["path"] == "data/predictions.parquet")
kept = pathlib.Path(config["cache"]["dir"], "files", "md5", md5[:2], md5[2:])
os.chmod(kept, 0o644)
body = bytearray(kept.read_bytes())
body[100] ^= 1
kept.write_bytes(body)
""",
    ),
    "v1.6.0": ("pipeline/train.py", "import time"),  # nothing wrong but that its tag will move
}

# The other team's stage `count` waits for a file in its workspace, ten minutes at most.
WAITING = """
import pathlib, threading
for _ in range(600):
    if pathlib.Path("go-on").exists():
        break
    threading.Event().wait(1)
"""


@dataclass(frozen=True)
class Fault:
    """A fault, with the content of its message: the kind, the cause, and words of the evidence."""

    name: str
    kind: str
    cause: str
    evidence: tuple[str, ...]
    release: str | None = None
    partition: str | None = None


SCHEMA_DAY, EMPTY_DAY, NEVER = "2019-09-11", "2019-09-12", "2019-09-20"

# The faults that do not affect each other; S3 and MLflow are stopped afterwards.
FAULTS = (
    Fault("schema", "data_rejected", "DATA", ("pickup_location_id", SCHEMA_DAY), partition=SCHEMA_DAY),
    Fault("empty_partition", "data_rejected", "DATA", (EMPTY_DAY,), partition=EMPTY_DAY),
    Fault("s3_403", "task_failed", "INFRA", ("InvalidAccessKeyId", "ListObjectsV2")),
    Fault("disk_full", "task_failed", "INFRA", ("train", "No space left on device"), release="v1.4.0"),
    Fault("failing_import", "task_failed", "CODE", ("train", "a_package_that_nobody_has"), release="v1.1.0"),
    Fault("out_of_memory", "task_failed", "INFRA", ("train", "signal 9"), release="v1.2.0"),
    Fault("moved_tag", "release_refused", "RELEASE", ("v1.6.0",), release="v1.6.0"),
    Fault("corrupted_object", "push_unproven", "INFRA", ("data/predictions.parquet",), release="v1.5.0"),
    Fault("late_data", "data_late", "DATA", (NEVER,), partition=NEVER),
    # A timeout does not show its cause, so UNKNOWN is right.
    Fault("stage_timeout", "task_failed", "UNKNOWN", ("train", "minutes"), release="v1.3.0"),
)
MLFLOW_DOWN = Fault("mlflow_down", "task_failed", "INFRA", ("MLflow",))
S3_DOWN = Fault("s3_down", "task_failed", "INFRA", ("S3",))
