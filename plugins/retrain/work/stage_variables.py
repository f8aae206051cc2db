"""The variables that the processes of stages get, and no other process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from retrain.work import masking

# With one of these a stage reaches AWS in a way of its own. None of the deployment's may be left beside it.
_LOGINS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_OF_ONE_LOGIN = (*_LOGINS, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


@dataclass(frozen=True)
class StageVariables:
    """`env` and the values of `secrets` of a pipeline's file."""

    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """The texts that must not be shown: see `masking.forms`."""
        return masking.forms(self.secrets.values())

    def over(self, own: Mapping[str, str]) -> dict[str, str]:
        """All variables of a stage's process. `own` are those of the deployment.

        If these name an AWS login, it replaces that of the deployment whole, its S3 endpoint included.
        """
        theirs = {**self.env, **self.secrets}
        dropped = _OF_ONE_LOGIN if any(name in theirs for name in _LOGINS) else ()
        return {**{name: value for name, value in own.items() if name not in dropped}, **theirs}


NO_VARIABLES = StageVariables()
