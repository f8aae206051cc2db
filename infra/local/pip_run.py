"""Runs pip so that it trusts the certificates of the system's store."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Sequence

from network_advice import refuses_certificate

# By one of these a person has told pip what to trust.
_CHOSEN = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run_pip(pip: Sequence[str], arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the command `pip` with these arguments, without `--quiet`, which hides a refused certificate. A failure does not raise.

    Before 24.2, pip trusts only its own certificates. If it refuses one, it is run again with those of the system's store.
    """
    done = _run([*pip, *arguments])
    store = ssl.get_default_verify_paths()
    trusted = store.cafile or store.capath
    if not refuses_certificate(done.stdout + done.stderr) or any(map(os.environ.get, _CHOSEN)) or trusted is None:
        return done
    return _run([*pip, *arguments, "--cert", trusted])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
