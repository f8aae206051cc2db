"""ministack, with four things that AWS does and ministack leaves out. Run in its place: `python enforcing_standin.py`.

- STS compares the claims of GitHub's token that AWS knows by name, not `sub` and `aud` alone. (The signature is not checked here.)
- SNS looks for a filter policy's properties in lists of objects too, such as `Records` of S3's messages.
- S3 has the condition keys s3:if-none-match and s3:ObjectCreationOperation, with which a bucket's policy asks for conditional writes.
- CopyObject takes If-None-Match.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.services import s3, sns, sts
from ministack.services.cognito import _decode_id_token_unverified

GITHUB = "token.actions.githubusercontent.com"
# The claims of GitHub that STS compares since January 2026, in AWS' reference "Available keys for AWS OIDC federation".
CLAIMS = (
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "workflow",
)

identity, matches, context, copy = (
    sts._web_identity_principal,
    sns._matches_filter_policy,
    iam_actions.s3_service_context,
    s3._copy_object,
)


def identity_with_claims(token: str, provider: str, role: str) -> tuple[str, dict[str, Any]]:
    principal, keys = identity(token, provider, role)
    if principal.endswith(f":oidc-provider/{GITHUB}"):
        claims = _decode_id_token_unverified(token)
        keys |= {f"{GITHUB}:{name}": claims[name] for name in CLAIMS if name in claims}
    return principal, keys


def single(value: Any) -> Iterator[Any]:
    """Every version of a body in which each list of objects is one of its objects."""
    if isinstance(value, dict):
        for chosen in itertools.product(*(single(each) for each in value.values())):
            yield dict(zip(value, chosen, strict=True))
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for each in value:
            yield from single(each)
    else:
        yield value


def matches_in_lists(subscription: dict[str, Any], attributes: dict[str, Any], message: str = "") -> bool:
    try:
        bodies = list(single(json.loads(message)))
    except ValueError:
        return bool(matches(subscription, attributes, message))
    return any(matches(subscription, attributes, json.dumps(body)) for body in bodies)


def context_of_conditional_writes(action: str, query: dict[str, Any], path: str = "", headers: Any = None) -> Any:
    keys = context(action, query, path, headers)
    if action == "s3:PutObject":
        # A part, and the beginning of an upload in parts, make no object.
        makes = "partNumber" not in query and "uploads" not in query
        keys |= {"s3:ObjectCreationOperation": "true" if makes else "false"}
        if (headers or {}).get("if-none-match"):
            keys |= {"s3:if-none-match": headers["if-none-match"]}
    return keys


def copy_if_absent(bucket: str, key: str, headers: dict[str, str]) -> Any:
    found = s3._ensure_bucket(bucket)
    existing = found["objects"].get(key) if found else None
    return s3._check_put_preconditions(headers, existing) or copy(bucket, key, headers)


sts._web_identity_principal = identity_with_claims
sns._matches_filter_policy = matches_in_lists
iam_actions.s3_service_context = context_of_conditional_writes
s3._copy_object = copy_if_absent
app.main()
