"""Ask the host to release a tag, then wait for its answer: `deploy.py v1.2.0`.

The host does the release on its own (retrain_release.py). This script only sends the one command that the deploy role may send,
then polls for the answer. Reads RETRAIN_DEPLOY_DOCUMENT, RETRAIN_DEPLOY_INSTANCE, and AWS_DEPLOY_ROLE and AWS_REGION
(web_identity.py). It may be repeated: a host that already has the release says so, and a busy host is asked again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from retrain_release import BUSY, NO_RELEASE, RELEASE
from web_identity import WebIdentityError, session

# timeoutSeconds of the SSM document: longer than the host ever takes, so that the host always ends the release itself.
DOCUMENT_SECONDS = 5400
WAIT_SECONDS = DOCUMENT_SECONDS + 300
DELIVERY_SECONDS = 300
_POLL_SECONDS = 5.0
_UNDER_WAY = {"Pending", "InProgress", "Delayed", "Cancelling"}


class DeployError(Exception):
    """The host was not reached or did not answer; the message says what is known and what to do."""


@dataclass(frozen=True)
class HostAnswer:
    """The host's answer: SSM's status, the exit code, the printed lines, and the outcome (None if it refused)."""

    status: str
    code: int
    lines: list[str]
    errors: str
    outcome: dict[str, Any] | None


@dataclass(frozen=True)
class Deployer:
    """Sends releases to one instance through one SSM document. `ssm` is a boto3 client."""

    ssm: Any
    document: str
    instance: str
    poll_seconds: float = _POLL_SECONDS
    wait_seconds: float = WAIT_SECONDS

    def deploy(self, release: str, say: Callable[[str], None] = print) -> HostAnswer:
        """Send the release and wait for the answer; a busy host is asked again.

        Raises:
            DeployError: not delivered, no answer in time, or an answer without an outcome.
        """
        deadline = time.monotonic() + self.wait_seconds
        while True:
            answer = self._wait(self._send(release), deadline)
            for line in answer.lines:
                say(line)
            if answer.code != BUSY:
                return answer
            say("another release is under way on the host; asking again later")
            if time.monotonic() > deadline:
                raise DeployError(f"The host was busy with another release for {self.wait_seconds:.0f} s.")
            time.sleep(self.poll_seconds * 6)

    def _send(self, release: str) -> str:
        sent = self.ssm.send_command(
            DocumentName=self.document,
            InstanceIds=[self.instance],
            Parameters={"release": [release]},
            Comment=f"release {release}",
            TimeoutSeconds=DELIVERY_SECONDS,
        )
        return str(sent["Command"]["CommandId"])

    def _wait(self, command: str, deadline: float) -> HostAnswer:
        while True:
            found = self._invocation(command)
            if found and found["Status"] not in _UNDER_WAY:
                return _answer(found)
            if time.monotonic() > deadline:
                raise DeployError(
                    f"No answer to command {command} after {self.wait_seconds:.0f} s. The host goes on by itself: it "
                    "finishes the release or returns to the one before. Look at the command in Systems Manager, then run this again."
                )
            time.sleep(self.poll_seconds)

    def _invocation(self, command: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.ssm.get_command_invocation(CommandId=command, InstanceId=self.instance)
        except ClientError as error:
            # For a moment after it was sent a command has no invocation yet.
            if error.response["Error"]["Code"] == "InvocationDoesNotExist":
                return None
            raise
        return found


def _answer(found: dict[str, Any]) -> HostAnswer:
    lines = str(found.get("StandardOutputContent", "")).splitlines()
    outcome = None
    if lines and lines[-1].startswith("{"):
        outcome = json.loads(lines.pop())
    status = str(found["Status"])
    details, errors = str(found.get("StatusDetails", "")), str(found.get("StandardErrorContent", "")).strip()
    code = int(found.get("ResponseCode", -1))
    if outcome is None and code not in (BUSY, NO_RELEASE):
        raise DeployError(
            f"The host gave no outcome: {status} ({details}), exit code {code}. {errors[-1000:] or 'It printed nothing.'} "
            "If it was not reached: is the instance running, and its SSM agent online? Then run this again."
        )
    return HostAnswer(status, code, lines, errors, outcome)


def summary(answer: HostAnswer) -> str:
    """The host's outcome in one sentence, for people."""
    known = answer.outcome
    if known is None:
        return f"The host refused: {answer.errors or answer.status}"
    release, before = known["release"], known.get("before") or "nothing"
    if known["outcome"] == "released":
        kept = known.get("pin_kept")
        return f"{release} is live (before: {before})." + (f" The pin was not moved: {kept}." if kept else "")
    cause = f"{known['failed']} failed: {known['cause']}"
    if known["outcome"] == "returned":
        return f"{release} was unhealthy and {before} is live again, with its pin. {cause}"
    return f"{release} is stuck and a person must look. {cause} {known.get('next', '')}".strip()


def main(arguments: list[str]) -> int:
    """Exit code 0 only when the release is live."""
    try:
        if len(arguments) != 1 or not RELEASE.fullmatch(arguments[0]):
            raise DeployError(f"{arguments} is no release. A release is a tag such as v1.2.0.")
        document, instance = os.environ["RETRAIN_DEPLOY_DOCUMENT"], os.environ["RETRAIN_DEPLOY_INSTANCE"]
        ssm = session().client("ssm", config=Config(retries={"mode": "standard", "max_attempts": 10}))
        deployer = Deployer(ssm, document, instance, _POLL_SECONDS)
        answer = deployer.deploy(arguments[0])
    except KeyError as error:
        print(
            f"{error} is not set. It is a variable of the GitHub environment: infra/release/README.md.", file=sys.stderr
        )
        return 1
    except (DeployError, WebIdentityError, BotoCoreError, ClientError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(summary(answer))
    return 0 if answer.outcome and answer.outcome["outcome"] == "released" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
