"""What the ledger's bucket refuses to everybody, an administrator included, and how it is filled all the same."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from accounts import Account
from botocore.exceptions import ClientError
from conftest import AppliedExample
from terraform_cli import ROOT

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def buckets(enforced: AppliedExample) -> dict[str, str]:
    return enforced.outputs["buckets"]


@pytest.fixture(scope="module")
def administrator(enforced: AppliedExample) -> Account:
    """A user who may do everything by IAM. The stand-in lets its owner pass every bucket's policy; AWS lets nobody."""
    owner = enforced.account
    iam = owner.client("iam")
    iam.create_user(UserName="administrator")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="administrator")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return Account(owner.url, owner.number, keys, owner.certificate)


def refused(request: Callable[..., Any], **arguments: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        request(**arguments)


def test_a_ledger_takes_no_write_that_could_replace(administrator, buckets):
    s3 = administrator.client("s3")
    s3.put_object(Bucket=buckets["store"], Key="dvc/files/md5/ab/cd", Body=b"model")
    refused(s3.put_object, Bucket=buckets["ledger"], Key="ledger/trip_duration/plain.json", Body=b"{}")
    copied = {"Bucket": buckets["ledger"], "Key": "ledger/trip_duration/copied.json"}
    refused(s3.copy_object, **copied, CopySource={"Bucket": buckets["store"], "Key": "dvc/files/md5/ab/cd"})
    upload = s3.create_multipart_upload(**copied)["UploadId"]
    part = s3.upload_part(**copied, UploadId=upload, PartNumber=1, Body=b"{}")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    refused(s3.complete_multipart_upload, **copied, UploadId=upload, MultipartUpload=parts)
    s3.complete_multipart_upload(**copied, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*")


def test_a_ledger_is_filled_from_a_copy_as_disaster_recovery_says(administrator, buckets, tmp_path):
    s3 = administrator.client("s3")
    keys = ["ledger/tips/dt=2020-03-05/key/run.json", "ledger/tips/pinned/0001 first.json"]
    for key in keys:
        s3.put_object(Bucket=buckets["store"], Key=key, Body=key.encode())
    page = (ROOT / "infra" / "docs" / "disaster-recovery.md").read_text()
    (loop,) = re.findall(r"```bash\n(aws s3api list-objects-v2 .*?)```", page, re.DOTALL)
    assert {"COPY", "NEW"} <= set(re.findall(r"[A-Z]{3,}", loop))
    loop = loop.replace("COPY", buckets["store"]).replace("NEW", buckets["ledger"])
    programs = ROOT / ".local" / "envs" / "release" / "bin"

    def filled() -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)} | administrator.environment()
        return subprocess.run(["bash", "-c", loop], env=environment, capture_output=True, text=True, check=True)

    assert filled().stdout == ""
    for key in keys:
        assert s3.get_object(Bucket=buckets["ledger"], Key=key)["Body"].read() == key.encode()
    again = filled()
    assert again.stdout.splitlines() == [f"not copied: {key}" for key in keys]
    assert again.stderr.count("PreconditionFailed") == 2
