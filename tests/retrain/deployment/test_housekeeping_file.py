from pathlib import Path

import pytest
import yaml

from retrain.deployment import housekeeping_file
from retrain.deployment.housekeeping_file import FILE, HousekeepingLimits, load_housekeeping
from retrain.errors import ConfigurationError

GOOD = yaml.safe_load(FILE.read_text())


def write(folder: Path, document: object) -> Path:
    path = folder / "limits.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_the_file_names_every_limit_with_the_default_of_the_program() -> None:
    limits = load_housekeeping(FILE, {})
    assert set(GOOD) == set(HousekeepingLimits.model_fields) - {"tags"}
    assert limits == HousekeepingLimits(schema_version=1, owner=limits.owner)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"keep_days": 0}, "keep_days", id="no day is kept"),
        pytest.param({"keep_day": 3}, "keep_day", id="a misspelt key"),
        pytest.param({"workspaces_days": 1}, "workspaces_days", id="shorter than a run may take"),
        pytest.param({"environments_days": 1}, "environments_days", id="shorter than a run may use its environment"),
        pytest.param({"metadata_days": 30}, "metadata_days", id="shorter than the watch looks back"),
        pytest.param({"cron": "30 * * * *"}, "cron", id="every hour"),
        pytest.param({"timezone": "Mars"}, "timezone", id="no time zone"),
        pytest.param({"schema_version": 2}, "schema_version", id="a newer schema"),
        pytest.param({"owner": "${NO_SUCH_VARIABLE}"}, "owner", id="a variable that is not set"),
        pytest.param("- a list", "keys and values", id="a list"),
    ],
)
def test_a_broken_file_of_limits_is_refused_with_file_and_key(tmp_path: Path, change: object, named: str) -> None:
    document = {**GOOD, **change} if isinstance(change, dict) else change
    with pytest.raises(ConfigurationError, match=named) as refused:
        load_housekeeping(write(tmp_path, document), {})
    assert "limits.yaml" in str(refused.value)


def test_a_deployment_may_name_a_file_of_its_own(tmp_path: Path) -> None:
    assert housekeeping_file.path({"RETRAIN_HOUSEKEEPING": str(tmp_path / "own.yaml")}) == tmp_path / "own.yaml"
    assert housekeeping_file.path({}) == FILE
