"""S3's messages about a landed day, by each way to a queue, as servers send them: every one starts the same day's run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from live_servers import ROOT, Server, answers, end, free_ports, wait_until
from program_variables import s3_server_variables
from stack_model import Stack

from retrain.deployment.sections import Raw, Schedule
from retrain.run import landings

DAILY = Schedule(cron="0 6 * * *", start_date=date(2020, 1, 1))
SERVERS_PYTHON = os.environ.get("SERVERS_PYTHON") or str(ROOT / ".local" / "envs" / "servers" / "bin" / "python")
MARKER = "raw/orders/dt=2020-03-10/_SUCCESS"


@pytest.fixture(scope="module")
def aws(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the services that a message may pass through; the local stack's has not all of them."""
    (port,) = free_ports(1)
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("aws") / "log"
    ours = {
        **s3_server_variables(stack),
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,sns,events",
        "TMPDIR": str(log.parent),
    }
    ours |= {"AUTH": "false", "PERSIST_STATE": "0", "S3_PERSIST": "0"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SERVERS_PYTHON, "-m", "ministack"], env={**os.environ, **ours}, stdout=output, stderr=output
        )
    try:
        health = f"{url}/_ministack/health"
        wait_until(lambda: answers(health) or process.poll() is not None, f"the server answers; see {log}", 180)
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        yield Server("ministack", url, "test", "test-secret")
    finally:
        assert not end(process.pid)


class Ways:
    """The ways from a bucket to a queue."""

    def __init__(self, aws: Server, bucket: str) -> None:
        self.s3, self.sqs, self.sns, self.events = (aws.client(name) for name in ("s3", "sqs", "sns", "events"))
        self.bucket = bucket
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.queue = self.sqs.create_queue(QueueName=bucket)["QueueUrl"]
        known = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.queue_arn = known["Attributes"]["QueueArn"]
        senders = {"Service": ["s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"]}
        may = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": self.queue_arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})

    def directly(self) -> None:
        self._notify({"QueueConfigurations": [{"QueueArn": self.queue_arn, "Events": ["s3:ObjectCreated:*"]}]})

    def by_sns(self) -> None:
        self._notify({"TopicConfigurations": [{"TopicArn": self._topic(), "Events": ["s3:ObjectCreated:*"]}]})

    def by_sns_raw(self) -> None:
        topic = self._topic(RawMessageDelivery="true")
        self._notify({"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]})

    def by_eventbridge(self) -> None:
        self._rule(self.queue_arn)

    def by_eventbridge_and_sns(self) -> None:
        self._rule(self._topic())

    def _notify(self, configuration: dict[str, Any]) -> None:
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=configuration)

    def _topic(self, **attributes: str) -> str:
        topic = self.sns.create_topic(Name=self.bucket)["TopicArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.queue_arn, Attributes=attributes)
        return str(topic)

    def _rule(self, target: str) -> None:
        """The rule of infra/docs/bring-your-own-pipeline.md for this bucket."""
        page = (ROOT / "infra" / "docs" / "bring-your-own-pipeline.md").read_text()
        (pattern,) = (text for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "Object Created" in text)
        self.events.put_rule(Name=self.bucket, EventPattern=pattern.replace("my-raw-bucket", self.bucket))
        self.events.put_targets(Rule=self.bucket, Targets=[{"Id": "queue", "Arn": target}])
        self._notify({"EventBridgeConfiguration": {}})

    def messages(self) -> list[dict[str, Any]]:
        """All messages that have come, at least one; S3's test event is among them where S3 sends one."""
        found: list[dict[str, Any]] = []

        def about_the_marker() -> bool:
            answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            found.extend(answer.get("Messages", []))
            return any("_SUCCESS" in message["Body"] for message in found)

        wait_until(about_the_marker, "a message about the marker")
        return found


@pytest.mark.parametrize(
    "way",
    [Ways.directly, Ways.by_sns, Ways.by_sns_raw, Ways.by_eventbridge, Ways.by_eventbridge_and_sns],
    ids=lambda w: w.__name__,
)
def test_a_marker_that_lands_starts_its_day_by_each_way_to_the_queue(way: Callable[[Ways], None], aws: Server) -> None:
    name = way.__name__.replace("_", "-")
    ways, raw = Ways(aws, name), Raw(url=f"s3://{name}/raw/orders", window_days=1)
    way(ways)
    version = ways.s3.put_object(Bucket=name, Key=MARKER, Body=b"")["VersionId"]
    found = ways.messages()
    (run,) = landings.runs(found, raw, DAILY)
    assert run["conf"] == {"partition": "2020-03-10"}
    if "eventbridge" not in name:  # this server leaves the version out there, as AWS does not
        assert run["trigger_run_id"] == f"landed__2020-03-10__{version}"
    landings.refuse_others(found, raw)


def test_the_rule_of_the_docs_passes_markers_of_its_folder_only(aws: Server) -> None:
    name = "rule-of-the-docs"
    ways = Ways(aws, name)
    ways.by_eventbridge()
    for key in ("raw/orders/dt=2020-03-10/part-0.csv", "raw/trips/dt=2020-03-10/_SUCCESS", MARKER):
        ways.s3.put_object(Bucket=name, Key=key, Body=b"")
    assert [json.loads(message["Body"])["detail"]["object"]["key"] for message in ways.messages()] == [MARKER]
