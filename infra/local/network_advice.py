"""Says what to check when a download has failed: the certificates that are trusted, or the network with its proxy."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Variables that name certificates, first those that uv reads, then pip's. pip also reads `cert` of its configuration file.
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_UNTRUSTED = (
    "invalid peer certificate",
    "certificate verify failed",
    "certificate_verify_failed",
    "no default certificates will be trusted",
    "suitable tls ca certificate bundle",
)
_UNREACHABLE = (
    "dns error",
    "name resolution",
    "name or service not known",
    "connection refused",
    "connection reset",
    "timed out",
    "tunnel error",
    "proxyerror",
    "network is unreachable",
    "error sending request",
    "no matching distribution found",
)
_PASSWORD = re.compile(r"(?<=//)[^/@]*(?=@)")


def refuses_certificate(output: str) -> bool:
    """True if a downloading program says that it does not trust the server's certificate."""
    return any(sign in output.lower() for sign in _UNTRUSTED)


def advice(output: str, variables: Mapping[str, str]) -> str:
    """What to check after a failed download, with the values of the variables that matter.

    Args:
        output: what the downloading program, uv or pip, wrote.
        variables: its environment variables. A password in a proxy's address is not repeated.
    """
    if refuses_certificate(output):
        return (
            "The certificate of the package index is not trusted, as happens behind a proxy that re-signs TLS. Add the proxy's "
            "certificate to the system's store (Debian: copy it to /usr/local/share/ca-certificates/NAME.crt and run "
            "update-ca-certificates), or name its file in SSL_CERT_FILE for uv and PIP_CERT for pip. "
            f"{_now(BUNDLES, variables)} Then run the same command again."
        )
    if any(sign in output.lower() for sign in _UNREACHABLE):
        return (
            "The package index could not be reached, and the first start needs it. Check the network and the proxy. "
            f"{_now(_PROXIES, variables)} Then run the same command again."
        )
    return "Check the network and the package index if the reason above does not say more, then run the same command again."


def _now(names: tuple[str, ...], variables: Mapping[str, str]) -> str:
    named = [f"{name}={_PASSWORD.sub('***', variables[name])}" for name in names if variables.get(name)]
    return f"Set now: {', '.join(named)}." if named else f"None of {', '.join(names)} is set."
