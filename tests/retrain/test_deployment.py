from pathlib import Path

import pytest
import yaml
from conftest import ADDRESSES, PIPELINES

from retrain.deployment import Deployment, load
from retrain.errors import ConfigurationError

GOOD = yaml.safe_load((PIPELINES / "trip_duration.yaml").read_text())


def write(folder: Path, document: object, name: str = "other.yaml") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_the_pipeline_is_named_by_its_file(deployment: Deployment) -> None:
    assert deployment.pipeline == "trip_duration"
    assert deployment.raw.url == "s3://raw-bucket/raw/yellow"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"raw": {**GOOD["raw"], "window_days": 0}}, "raw.window_days", id="an empty window"),
        pytest.param({"raw": {**GOOD["raw"], "windo_days": 3}}, "raw.windo_days", id="a misspelt key"),
        pytest.param({"store": "/tmp/store"}, "store", id="a store that is not S3"),
        pytest.param({"slack": {}}, "slack.channel", id="a missing key"),
        pytest.param({"schema_version": 2}, "schema_version", id="a newer schema"),
        pytest.param(
            {"repository": {"url": "x", "environment": "../up"}},
            "repository.environment",
            id="a way out of the checkout",
        ),
        pytest.param({"owner": None}, "owner", id="nobody owns it"),
        pytest.param({"ledger": "s3://${NO_SUCH_VARIABLE}/ledger"}, "ledger", id="an address that is not set"),
    ],
)
def test_a_broken_file_is_refused_with_file_and_key(tmp_path: Path, change: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(write(tmp_path, {**GOOD, **change}), ADDRESSES)
    assert "other.yaml" in str(refused.value)
    assert named in str(refused.value)


@pytest.mark.parametrize("text", ["a: [", "- a list", "just words", ""])
def test_what_is_not_keys_and_values_is_refused_by_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"other\.yaml"):
        load(write(tmp_path, text), ADDRESSES)


def test_a_file_name_that_can_be_no_dag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Rename"):
        load(write(tmp_path, GOOD, "My Pipeline.yaml"), ADDRESSES)
