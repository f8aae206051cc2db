"""What `release` is told to make live."""

from __future__ import annotations

import pytest

from retrain.commands.command_line import parser
from retrain.run.errors import ReleaseChoiceError


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], "Given: nothing."),
        (["v1.0.0", "--commit=1a2b3c4d", "--as=trial-1"], "Given: TAG, COMMIT, AS."),
        (["v1.0.0", "--as=trial-1"], "Given: TAG, AS."),
        (["--commit=1a2b3c4d"], "Given: COMMIT."),
        (["--as=trial-1"], "Given: AS."),
        (["--", ""], "Given: nothing."),
    ],
)
def test_a_release_names_either_a_tag_or_a_commit_with_its_label(arguments: list[str], given: str) -> None:
    options = parser().parse_args(["release", *arguments])
    with pytest.raises(
        ReleaseChoiceError, match=f"{given} Release a tag: make release TAG=.* or a commit .*COMMIT=.* AS="
    ):
        options.command(options)
