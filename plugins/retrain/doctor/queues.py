"""The queues of pipelines with `trigger: event`: they answer, S3 writes to them, and nothing lies in their dead-letter queue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from retrain.deployment.sections import Raw
from retrain.doctor.finding import Finding, Found, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import StoreError, StoreForbiddenError
from retrain.run.raw_layout import RawLayout
from retrain.store import bucket_settings
from retrain.store.bucket_settings import BucketNotification
from retrain.store.s3 import naming, split

if TYPE_CHECKING:
    from retrain.airflow.connections import Aws

_FIX = "Correct `queue` in the pipeline's file (terraform output queue_urls), or the role's right to the queue."


def check(here: Surroundings) -> Iterator[Finding]:
    """The queue of each pipeline that is started by messages."""
    if here.is_watch:
        return
    from retrain.airflow.connections import Aws

    for deployment in here.deployments:
        raw = deployment.raw
        if deployment.trigger == "event" and raw is not None and raw.queue:
            yield from _queue(f"queue of {deployment.pipeline}", raw, raw.queue, Aws(deployment.aws_conn_id))


def _queue(thing: str, raw: Raw, url: str, aws: Aws) -> Iterator[Finding]:
    sqs = aws.asking("sqs")
    try:
        with naming("GetQueueAttributes", url, "SQS"):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except StoreError as error:
        yield wrong(thing, str(error), _FIX)
        return
    yield ok(thing, f"answers, with {attributes.get('ApproximateNumberOfMessages', '?')} messages")
    yield _dead_letters(thing, attributes, sqs)
    bucket, _ = split(f"{raw.url}/")
    try:
        notified = bucket_settings.notifications(aws.asking("s3"), bucket)
        targets = [each.arn for each in matching(notified, raw)]
        leads = _leads(thing, bucket, targets, attributes["QueueArn"], aws)
        # The notification may be another reader's: S3 has one for the same keys, and EventBridge sends to all others.
        if leads.found is Found.WRONG and bucket_settings.sends_to_eventbridge(aws.asking("s3"), bucket):
            leads = unknown(
                leads.thing,
                f"{bucket} sends its events to EventBridge, whose rules are not looked at",
                f"aws events list-rule-names-by-target --target-arn {attributes['QueueArn']}",
            )
        yield leads
    except StoreForbiddenError as error:
        yield unknown(f"{thing}: notification", f"this role may not read it ({error})", "terraform plan compares it.")
    except StoreError as error:
        yield wrong(f"{thing}: notification", str(error), _FIX)


def _dead_letters(thing: str, attributes: Mapping[str, str], sqs: Any) -> Finding:
    thing = f"{thing}: dead letters"
    policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    if "deadLetterTargetArn" not in policy:
        return warning(thing, "there is no queue for them: a message that cannot be read is tried for ever", _FIX)
    name = policy["deadLetterTargetArn"].rpartition(":")[2]
    try:
        with naming("GetQueueAttributes", name, "SQS"):
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            dead = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    except StoreForbiddenError:
        return unknown(thing, f"this role may not look into {name}", "Its alarm watches it: infra/aws/modules/alarms.")
    except StoreError as error:
        return wrong(thing, str(error), _FIX)
    count = int(dead["ApproximateNumberOfMessages"])
    if count:
        return warning(
            thing, f"{count} messages in {name}", "Read one, and correct what sent it; then purge that queue."
        )
    return ok(thing, f"{name} is empty")


def _leads(thing: str, bucket: str, targets: list[str], queue: str, aws: Aws) -> Finding:
    thing = f"{thing}: notification"
    if not targets:
        return wrong(
            thing,
            f"{bucket} notifies nobody when data lands: no run is started before the scheduled one",
            "infra/aws/modules/notifications makes it; the folder must be in raw_prefixes.",
        )
    if queue in targets:
        return ok(thing, f"{bucket} writes to it")
    topics = [each for each in targets if ":sns:" in each]
    for topic in topics:
        with naming("ListSubscriptionsByTopic", topic, "SNS"):
            found = aws.asking("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if queue in [each.get("Endpoint") for each in found]:
            return ok(thing, f"{bucket} writes to {topic.rpartition(':')[2]}, and that to the queue")
    return wrong(thing, f"{bucket} notifies {', '.join(targets)}, and none of them leads to {queue}", _FIX)


def matching(notified: list[BucketNotification], raw: Raw) -> list[BucketNotification]:
    """The notifications that landing data causes: each day's marker; without such a marker, some object of the day."""
    layout = RawLayout.of(raw)
    pattern = f"{split(f'{raw.url}/')[1]}{layout.landing_pattern}"
    head, tail = re.split(r"[*{]", pattern, maxsplit=1)[0], re.split(r"[*}]", pattern)[-1]
    return [
        each
        for each in notified
        if head.startswith(each.prefix) and (tail.endswith(each.suffix) or not layout.marker_is_dated)
    ]
