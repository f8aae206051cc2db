"""The deployment's own DVC with extras."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.errors import ConfigurationError
from retrain.work.dvc import deployment_dvc


def test_an_extra_that_there_is_not_is_refused_with_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(deployment_dvc.EXTRAS, "ssh, gcs")
    with pytest.raises(ConfigurationError, match=r"RETRAIN_DVC_EXTRAS names gcs, .* azure, gdrive, gs,"):
        deployment_dvc.provide(tmp_path)
