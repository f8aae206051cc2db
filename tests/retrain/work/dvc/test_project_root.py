"""The top of the DVC project in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.errors import NotAPipelineError
from retrain.work.dvc.project_root import default_file, project_root


@pytest.mark.parametrize(
    ("initialized", "folder", "root", "file"),
    [
        ((), ".", ".", "dvc.yaml"),
        ((), "ml/taxi", "ml/taxi", "dvc.yaml"),
        (("ml/taxi",), "ml/taxi", "ml/taxi", "dvc.yaml"),
        ((".",), "ml/taxi", ".", "ml/taxi/dvc.yaml"),
        ((".", "ml"), "ml/taxi", "ml", "taxi/dvc.yaml"),
    ],
)
def test_the_nearest_initialized_folder_upwards_is_the_top_of_the_project(
    tmp_path: Path, initialized: tuple[str, ...], folder: str, root: str, file: str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for each in initialized:
        (tmp_path / each / ".dvc").mkdir(parents=True)
    assert project_root(tmp_path, folder) == tmp_path / root
    assert default_file(tmp_path, folder) == file


def test_a_folder_that_the_release_lacks_or_that_is_a_link_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/")
    for folder in ("ml/taxi", "away", "away/tmp"):
        with pytest.raises(
            NotAPipelineError, match=rf"repository.folder is {folder}, which is no folder of the release"
        ):
            project_root(tmp_path, folder)
