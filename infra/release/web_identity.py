"""AWS credentials for a workflow without stored keys: GitHub signs which job this is, AWS gives that job a role for an hour."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.credentials import AssumeRoleWithWebIdentityCredentialFetcher, DeferredRefreshableCredentials

_AUDIENCE = "sts.amazonaws.com"


class WebIdentityError(Exception):
    """The job got no token from GitHub; the message says what is missing."""


def session(environ: Mapping[str, str] = os.environ) -> Any:
    """A boto3 session with the role AWS_DEPLOY_ROLE, by the job's own token; without that variable, boto3's usual one.

    Each renewal of the credentials gets a new token: GitHub's tokens live for minutes, and a release may take an hour.
    """
    region = environ.get("AWS_REGION") or None
    role = environ.get("AWS_DEPLOY_ROLE")
    if not role:
        return boto3.Session(region_name=region)
    inner = botocore.session.get_session()
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=partial(inner.create_client, region_name=region),
        web_identity_token_loader=partial(github_token, environ),
        role_arn=role,
        extra_args={"RoleSessionName": f"release-{environ.get('GITHUB_RUN_ID', 'local')}", "DurationSeconds": 3600},
    )
    # botocore has no public way to give a session credentials that renew themselves.
    inner._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role-with-web-identity")  # type: ignore[attr-defined]  # noqa: SLF001
    return boto3.Session(botocore_session=inner, region_name=region)


def github_token(environ: Mapping[str, str]) -> str:
    """GitHub's signed token about this job: its repository, environment and commit.

    Raises:
        WebIdentityError: the job lacks `id-token: write`, or GitHub refused.
    """
    try:
        url, token = environ["ACTIONS_ID_TOKEN_REQUEST_URL"], environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    except KeyError as error:
        raise WebIdentityError(f"{error} is not set. Give the job `permissions: id-token: write`.") from error
    asked = f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode({'audience': _AUDIENCE})}"
    request = urllib.request.Request(asked, headers={"Authorization": f"bearer {token}"})  # noqa: S310 - GitHub's own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(json.load(answer)["value"])
    except (OSError, ValueError, KeyError) as error:
        raise WebIdentityError(f"GitHub gave no token for {_AUDIENCE} ({error}).") from error
