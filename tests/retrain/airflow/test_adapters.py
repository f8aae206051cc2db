"""What tasks reach through Airflow: here from environment variables, which Airflow asks first."""

from __future__ import annotations

import pytest

from retrain.airflow.adapters import VariablePins
from retrain.errors import NoPinError
from retrain.run.release import Pin, Release


def test_the_pin_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    pin = Pin(Release("v1.0.0", "a" * 40))
    monkeypatch.setenv("AIRFLOW_VAR_TAXI_RELEASE", pin.to_json())
    assert VariablePins().pin("taxi") == pin


def test_a_pin_that_somebody_typed_is_refused_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXI_RELEASE", "v1.0.0")
    with pytest.raises(NoPinError, match=r"taxi_release is not JSON.*make release TAG="):
        VariablePins().pin("taxi")
