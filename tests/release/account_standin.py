"""An AWS account on the loopback: moto's server, with the agent that moto lacks: it runs the commands of Systems Manager.

`account_standin.py PORT FOLDER` in moto's environment. A command's document is looked up, its parameter is held against the
document's pattern, and its line runs here with `/usr/local/sbin/retrain-release` being what FOLDER/agent.json says. Until it has
ended the invocation is InProgress; `absent` polls of it find nothing at first, as with the real service. ECR refuses what the real
one refuses (ecr_standin.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ecr_standin import refuse
from moto.server import ThreadedMotoServer
from moto.ssm import models
from moto.ssm.exceptions import SSMException

folder = Path(sys.argv[2])


def agent() -> dict[str, Any]:
    path = folder / "agent.json"
    return json.loads(path.read_text()) if path.exists() else {}


def work(command: models.Command, invocation: dict[str, Any], line: str) -> None:
    settings = agent()
    done = subprocess.run(
        ["bash", "-c", line.replace("/usr/local/sbin/retrain-release", settings["program"])],
        env=settings["environment"],
        capture_output=True,
        text=True,
        check=False,
    )
    invocation["StandardOutputContent"], invocation["StandardErrorContent"] = done.stdout, done.stderr
    invocation["ResponseCode"] = done.returncode
    invocation["Status"] = invocation["StatusDetails"] = "Failed" if done.returncode else "Success"
    command.status = invocation["Status"]


original_send, original_get = models.SimpleSystemManagerBackend.send_command, models.Command.get_invocation


def send_command(backend: models.SimpleSystemManagerBackend, **given: Any) -> models.Command:
    document = json.loads(backend.get_document(given["document_name"], None, None, "JSON")["Content"])
    for name, values in given["parameters"].items():
        if not re.fullmatch(document["parameters"][name]["allowedPattern"], values[0]):
            raise SSMException("InvalidParameters", f"{name} does not match")
    command = original_send(backend, **given)
    (invocation,) = command.invocations
    settings = agent()
    command.polls_without = settings.get("absent", 0)  # type: ignore[attr-defined]
    if settings.get("offline"):
        invocation |= {"Status": "Undeliverable", "StatusDetails": "Undeliverable", "ResponseCode": -1}
        return command
    invocation |= {"Status": "InProgress", "StatusDetails": "InProgress", "ResponseCode": -1}
    (line,) = document["mainSteps"][0]["inputs"]["runCommand"]
    for name, values in given["parameters"].items():
        line = line.replace("{{ " + name + " }}", values[0])
    threading.Thread(target=work, args=(command, invocation, line), daemon=True).start()
    return command


def get_invocation(command: models.Command, instance_id: str, plugin_name: str | None) -> dict[str, Any]:
    if command.polls_without > 0:  # type: ignore[attr-defined]
        command.polls_without -= 1  # type: ignore[attr-defined]
        raise SSMException("InvocationDoesNotExist", "not yet")
    return original_get(command, instance_id, plugin_name)


refuse()
models.SimpleSystemManagerBackend.send_command = send_command
models.Command.get_invocation = get_invocation
server = ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False)
server.start()
sys.stdin.read()  # until the process that started this one ends
server.stop()
