"""The token of the Slack app."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from retrain.alerts.errors import SlackTokenError

_HEADER_VALUE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class AppToken:
    """Either the token itself, or the file that holds it. The file is read for each request, so a new token needs no restart."""

    value: str = field(default="", repr=False)
    file: Path | None = None

    def read(self) -> str:
        """The token.

        Raises:
            SlackTokenError: there is no token, or it holds a character that an HTTP header cannot carry.
        """
        try:
            token = self.file.read_text(encoding="utf-8").strip() if self.file else self.value.strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SlackTokenError(f"The file of Slack's token cannot be read: {error}") from error
        if not token:
            raise SlackTokenError("There is no Slack token. Set RETRAIN_SLACK_TOKEN_FILE or RETRAIN_SLACK_TOKEN.")
        # The error of Python's http.client would quote the whole token.
        if not _HEADER_VALUE.fullmatch(token):
            raise SlackTokenError("Slack's token holds a blank or a character that no token has. Nothing was sent.")
        return token
