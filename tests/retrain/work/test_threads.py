"""OMP_NUM_THREADS of the stages, which is recorded because sums may depend on it."""

from __future__ import annotations

import pytest

from retrain.errors import ConfigurationError
from retrain.work.threads import threads


@pytest.mark.parametrize(("said", "found"), [("1", 1), ("16", 16), ("", 2)])
def test_the_worker_says_how_many_threads_a_stage_has(monkeypatch: pytest.MonkeyPatch, said: str, found: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads() == found


@pytest.mark.parametrize("said", ["auto", "4,2", "0", "-1", "1.5"])
def test_anything_else_is_refused_with_variable_and_value(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    with pytest.raises(ConfigurationError, match=rf"OMP_NUM_THREADS='{said}'"):
        threads()
