"""Airflow's settings in the compose file are ones that the installed Airflow reads: a misspelled one would do nothing."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.airflow.yml").read_text()
NAMES = sorted(set(re.findall(r"\bAIRFLOW__[A-Z_]+?__[A-Z0-9_]+(?=[:=])", TEXT)))
# Airflow's documentation does not name it, on purpose.
UNDOCUMENTED = "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"
# Passed on to Celery as they are.
CELERY_S = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"


@pytest.mark.parametrize("name", [name for name in NAMES if name != UNDOCUMENTED and not name.startswith(CELERY_S)])
def test_a_setting_of_the_compose_file_is_an_option_of_airflow_s(name: str) -> None:
    from airflow.configuration import conf

    section, _, option = name.removeprefix("AIRFLOW__").removesuffix("_CMD").lower().partition("__")
    known = conf.configuration_description.get(section, {}).get("options", {})
    assert option in known
    if name.endswith("_CMD"):
        assert (section, option) in conf.sensitive_config_values, "Airflow runs commands for secrets only"


def test_the_number_of_times_that_a_waiting_task_is_sent_again_is_read_by_the_scheduler() -> None:
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    assert UNDOCUMENTED in NAMES
    source = inspect.getsource(SchedulerJobRunner.__init__)
    asked = re.search(r'section="(\w+)",\s+key="(\w+)",\s+fallback=2', source)
    assert asked
    assert f"AIRFLOW__{asked[1]}__{asked[2]}".upper() == UNDOCUMENTED
