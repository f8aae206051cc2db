"""The top of the DVC project in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.errors import NotAPipelineError
from retrain.work.dvc.project_root import place_in_project, project_root


@pytest.mark.parametrize(
    ("initialized", "folder", "root", "place"),
    [
        ((), ".", ".", "."),
        ((), "ml/taxi", "ml/taxi", "."),
        (("ml/taxi",), "ml/taxi", "ml/taxi", "."),
        ((".",), "ml/taxi", ".", "ml/taxi"),
        ((".", "ml"), "ml/taxi", "ml", "taxi"),
    ],
)
def test_the_nearest_initialized_folder_upwards_is_the_top_of_the_project(
    tmp_path: Path, initialized: tuple[str, ...], folder: str, root: str, place: str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for each in initialized:
        (tmp_path / each / ".dvc").mkdir(parents=True)
    assert project_root(tmp_path, folder) == tmp_path / root
    (tmp_path / ".git").mkdir()
    assert place_in_project(tmp_path / root, folder) == place


def test_a_folder_that_the_release_lacks_or_that_is_a_link_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/")
    for folder in ("ml/taxi", "away", "away/tmp"):
        with pytest.raises(
            NotAPipelineError, match=rf"repository.folder is {folder}, which is no folder of the release"
        ):
            project_root(tmp_path, folder)
