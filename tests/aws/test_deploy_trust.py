"""Who may take the deploy role: GitHub's tokens of many kinds, decided by the applied trust policy.

The stand-in compares a token's claims as STS does and answers with its words. It does not check the signature.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import GITHUB, AppliedExample

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)

OLD = "repo:example/trip-duration"
NEW = "repo:example@583231/trip-duration@1296269"
WORKFLOW = "example/trip-duration/.github/workflows/release.yml"


def token(subject: str, ref: str = "refs/tags/v1.2.0", **claims: str) -> str:
    """A job's token: the claims that GitHub's documentation shows, those of a release unless told otherwise."""
    document = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": subject,
        "repository": GITHUB["github_repository"],
        "repository_id": GITHUB["github_repository_id"],
        "repository_owner_id": GITHUB["github_owner_id"],
        "environment": "production",
        "ref": ref,
        "job_workflow_ref": f"{WORKFLOW}@{ref}",
        **claims,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, document, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def taken(deployment: AppliedExample, given: str) -> dict[str, Any]:
    """Ask for the deploy role with a token, as the job does: without any key of AWS."""
    answer: dict[str, Any] = deployment.account.client("sts").assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{deployment.account.number}:role/retrain-deploy",
        RoleSessionName="release-1",
        WebIdentityToken=given,
    )
    return answer


@pytest.mark.parametrize("subject", [OLD, NEW])
def test_a_release_takes_the_role_with_the_old_subject_and_with_the_new(trusting, subject):
    answer = taken(trusting, token(f"{subject}:environment:production"))
    assert answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/retrain-deploy/release-1")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(token("repo:example/other:environment:production"), id="another repository"),
        pytest.param(
            token("repo:fork@999/trip-duration@888:environment:production", repository_id="888"), id="a fork's own job"
        ),
        pytest.param(
            token(f"{OLD}:environment:production", repository_id="888"), id="a repository that got the name later"
        ),
        pytest.param(
            token("repo:example@583231/trip-duration@888:environment:production", repository_id="888"),
            id="the new subject of such a repository",
        ),
        pytest.param(token(f"{NEW}:environment:staging"), id="another environment"),
        pytest.param(token(f"{NEW}:environment:production-eu"), id="an environment whose name goes on"),
        pytest.param(token(f"{NEW}:ref:refs/tags/v1.2.0"), id="a job without the environment"),
        pytest.param(token(f"{NEW}:pull_request", "refs/pull/7/merge"), id="a pull request"),
        pytest.param(
            token(f"{NEW}:environment:production", "refs/pull/7/merge"), id="a pull request that names the environment"
        ),
        pytest.param(
            token(f"{NEW}:environment:production", "refs/heads/try"), id="a branch that names the environment"
        ),
        pytest.param(token(f"{NEW}:environment:production", "refs/heads/main"), id="main"),
        pytest.param(
            token(f"{NEW}:environment:production", job_workflow_ref=f"{WORKFLOW[:-11]}other.yml@refs/tags/v1.2.0"),
            id="another workflow of the tag",
        ),
        pytest.param(
            token(
                f"{NEW}:environment:production", job_workflow_ref="other/ci/.github/workflows/release.yml@refs/tags/v1"
            ),
            id="another repository's reusable workflow",
        ),
        pytest.param(token(f"{NEW}:environment:production", aud="https://github.com/example"), id="another audience"),
        pytest.param(token(f"{NEW}:environment:production", iss="https://example.com"), id="another issuer"),
    ],
)
def test_every_other_token_is_refused_in_the_words_of_sts(trusting, given):
    with pytest.raises(ClientError) as error:
        taken(trusting, given)
    said = error.value.response["Error"]
    assert (said["Code"], said["Message"]) == (
        "AccessDenied",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    )
