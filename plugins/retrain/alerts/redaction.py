"""Removes secrets from alerts: known values, and texts in the form of a credential.

Airflow's masker knows values alone, and detect-secrets is not among the dependencies: forms are found by patterns of our own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

REDACTED = "[redacted]"
# Shorter values are no secrets, and would occur in many ordinary sentences.
_SHORTEST_SECRET = 6

# Repetitions are bounded, so that a long text of dots does not take minutes.
_NAMES = (
    r"(?:[a-z0-9]{1,40}[_.-]){0,6}"
    r"(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|private[_-]?key|credentials?)"
)
_VALUE = r"""(?!\[redacted)(?:"[^"\n]*"|'[^'\n]*'|[^\s,;&"'<>)\]}]+)"""
_SIGNING = r"x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|signature|sig"
_FORMS = {
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)": REDACTED,
    r"""(\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^\n"']+""": rf"\1{REDACTED}",
    r"\b(bearer|basic)\s+[a-z0-9._~+/=-]{16,}": rf"\1 {REDACTED}",
    # scheme://user:password@host. The user stays: it says which account was refused. A port is no password.
    r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,100}):(?!\d{1,5}(?:[/?#\s]|$))[^\s@]{1,300}@": rf"\1:{REDACTED}@",
    rf"""([?&](?:{_SIGNING})=)[^\s&#"'<>]+""": rf"\1{REDACTED}",
    r"\b(?:xox[a-z]|xapp)-[a-z0-9-]+": REDACTED,
    r"https://hooks\.slack\.com/\S+": REDACTED,
    r"\b(?:gh[pousr]_[a-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,})": REDACTED,
    r"\beyj[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?": REDACTED,
    # password=..., "aws_secret_access_key": "...", --token ...
    rf"(\b{_NAMES}[\"']?\s*[:=]\s*){_VALUE}": rf"\1{REDACTED}",
    rf"(--{_NAMES}\s+){_VALUE}": rf"\1{REDACTED}",
    # Key ids are in capitals only; other words are left alone.
    r"(?-i:\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ASCA)[A-Z0-9]{12,}\b)": REDACTED,
}
_PATTERNS = [(re.compile(form, re.IGNORECASE | re.DOTALL), replacement) for form, replacement in _FORMS.items()]
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_FOLDERS = ("PWD", "OLDPWD")  # a shell's, with the abbreviation of a password in their name


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without the values in `secrets`, and without texts in the form of a credential."""
    for secret in sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_facts(
    facts: Mapping[str, Any], secrets: Collection[str] = (), mask: Callable[[str], str] = str
) -> dict[str, Any]:
    """Facts with every string redacted, at any depth. A value whose name says that it is a secret is replaced as a whole.

    Args:
        facts: a JSON object.
        secrets: values that are known to be secret.
        mask: removes the secrets that another masker knows from a text. It is applied first.
    """

    def cleaned(value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            return redact_facts(value, secrets, mask)
        if isinstance(value, list | tuple):
            return [cleaned(item, name) for item in value]
        if not isinstance(value, str):
            return value
        return REDACTED if value and _SECRET_NAME.fullmatch(name) else redact(mask(value), secrets)

    return {redact(mask(str(name)), secrets): cleaned(value, str(name)) for name, value in facts.items()}


def known_secrets(environ: Mapping[str, str]) -> set[str]:
    """The secrets in an environment: variables with a secret's name, logins and passwords of Airflow's connections."""
    found = {
        value
        for name, value in environ.items()
        if (_SECRET_NAME.search(name) or name.endswith("FERNET_KEY"))
        and not name.endswith("_FILE")
        and name not in _FOLDERS
    }
    for name, value in environ.items():
        if not name.startswith("AIRFLOW_CONN_"):
            continue
        try:
            connection = json.loads(value)
        except ValueError:
            connection = {"password": unquote(urlsplit(value).password or "")}
        if isinstance(connection, dict):
            found |= {str(connection[key]) for key in ("login", "password") if connection.get(key)}
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}
