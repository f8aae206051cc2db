import pytest

from retrain.errors import RecordVersionError
from retrain.run.schema_version import require_readable


@pytest.mark.parametrize("version", [1, 2])
def test_every_version_up_to_the_newest_is_readable(version: int) -> None:
    assert require_readable(version, 2, "s3://ledger/run.json") == version


@pytest.mark.parametrize("version", [3, 0, -1, "2", None, 1.5])
def test_any_other_version_is_refused_with_document_version_and_advice(version: object) -> None:
    with pytest.raises(RecordVersionError) as caught:
        require_readable(version, 2, "The description of x", "Update the deployment.")
    assert str(caught.value) == (
        f"The description of x has schema_version {version!r}, this deployment reads up to 2. Update the deployment."
    )
