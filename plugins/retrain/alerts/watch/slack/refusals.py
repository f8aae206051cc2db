"""What a refusal of Slack's means: a subclass of SlackError, by who has to act."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from retrain.alerts.errors import (
    SlackBusyError,
    SlackChannelError,
    SlackContentError,
    SlackError,
    SlackTokenError,
    SlackUnavailableError,
)

# Slack's names: https://docs.slack.dev/reference/methods/chat.postMessage#errors
_TOKEN = frozenset(
    [
        "not_authed",
        "invalid_auth",
        "token_expired",
        "token_revoked",
        "account_inactive",
        "missing_scope",
        "no_permission",
        "access_denied",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "team_access_not_granted",
        "accesslimited",
        "enterprise_is_restricted",
        "two_factor_setup_required",
    ]
)
_CHANNEL = frozenset(
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "is_inactive",
        "channel_is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "posting_to_channel_denied",
    ]
)
_PASSING = frozenset(["internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"])


def refusal(request: str, status: int, headers: Mapping[str, Any], body: Mapping[str, Any]) -> SlackError:
    """The error for an answer of Slack's that is not ok. `request` names the request for people, `status` is the HTTP status."""
    name = str(body.get("error") or "no reason given")
    details = "; ".join((body.get("response_metadata") or {}).get("messages") or ())
    if body.get("needed"):
        details = f"it needs the scope {body['needed']}, the token has {body.get('provided') or 'none'}"
    said = f"Slack refused {request}: {name}{f' ({details})' if details else ''}."
    if status == HTTPStatus.TOO_MANY_REQUESTS or name in ("ratelimited", "rate_limited"):
        seconds = retry_after(headers)
        return SlackBusyError(f"{said} It is tried again in {seconds:.0f} s.", seconds)
    if name in _TOKEN:
        return SlackTokenError(f"{said} Renew the token, or give it the scope, where RETRAIN_SLACK_TOKEN… points to.")
    if name in _CHANNEL:
        return SlackChannelError(f"{said} Correct slack.channel in the pipeline's file, or invite the app.")
    # A name with a blank is the text of an HTML page, which a proxy answered in Slack's place.
    if status != HTTPStatus.OK or name in _PASSING or " " in name:
        return SlackUnavailableError(f"{said} (HTTP {status}) It is tried again.")
    return SlackContentError(said)


def retry_after(headers: Mapping[str, Any]) -> float:
    """The seconds that a 429 asks to wait; 1 if it does not say, 60 if it says something else than a number."""
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if isinstance(found, list):
        found = found[0] if found else None
    try:
        return max(float(found or 1), 0.0)
    except ValueError:
        return 60.0
