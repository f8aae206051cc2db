"""A pipeline that S3's messages start, and the queue of these messages."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import yaml
from running_stack import Live, wait_until

PIPELINE, PREFIX = "landed", "raw/landed/"
DAY = "2024-02-29"
DAGS = (PIPELINE, f"{PIPELINE}_landings")


def begin(live: Live, pipelines: Path) -> str:
    """Create the queue, and a pipeline of another team's repository that reads it; returns the queue's URL."""
    sqs, bucket = boto3.client("sqs"), live.variables["RETRAIN_RAW_BUCKET"]
    url = str(sqs.create_queue(QueueName="landings")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sender]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    rules = [{"Name": "prefix", "Value": PREFIX}, {"Name": "suffix", "Value": "_SUCCESS"}]
    told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [told]}
    )
    other = yaml.safe_load((pipelines / "foreign.yaml").read_text())
    raw = {**other["raw"], "url": f"s3://{bucket}/{PREFIX.rstrip('/')}", "queue": url}
    document = {**other, "trigger": "event", "raw": raw, "tracking": {"experiment": PIPELINE}}
    (pipelines / f"{PIPELINE}.yaml").write_text(yaml.safe_dump(document))
    return url


def start(live: Live) -> None:
    """Release the team's v0.1.0 for it, and unpause its two DAGs."""
    for dag in DAGS:
        wait_until(lambda name=dag: live.airflow.dag(name), 120, f"Airflow has not read {dag}")
    released = live.retrain("--pipeline", PIPELINE, "release", "v0.1.0")
    assert released.returncode == 0, released.stderr
    for dag in DAGS:
        live.airflow.unpause(dag)


def land(live: Live, day: str) -> None:
    """Land a day, its marker last."""
    place = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/{PREFIX}dt={day}"
    live.put(f"{place}/part-0.csv", day.encode())
    live.put(f"{place}/_SUCCESS", b"")
