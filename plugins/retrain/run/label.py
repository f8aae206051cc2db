"""Labels: names for commits that have no tag, each for one commit for good."""

from __future__ import annotations

import re

from retrain.deployment import git_names
from retrain.run.errors import LabelError
from retrain.run.release import check_tag
from retrain.run.tag_pattern import TagPattern

# Everybody reads these as names that move.
MOVING = ("HEAD", "main", "master", "develop", "trunk", "latest")
# A release by its name: a tag or a label.
RELEASE_PATTERN = git_names.PATTERN.replace("^", f"^(?!(?:{'|'.join(MOVING)})$)", 1)
_COMMIT = re.compile(r"[0-9A-Fa-f]{7,64}")


def check_label(label: str, pattern: TagPattern) -> str:
    """Return a new label if it cannot be taken for something else.

    Raises:
        TagGrammarError: it is no name.
        LabelError: it has the form of a release's tag or of a commit, or is a name that moves, such as main.
    """
    check_tag(label)
    if pattern.fits(label):
        problem = f"has the form of this pipeline's tags, {pattern.form}"
    elif _COMMIT.fullmatch(label):
        problem = "could be taken for a commit"
    elif label in MOVING:
        problem = "is a name that moves, and a label stands for one commit for good"
    else:
        return label
    raise LabelError(f"{label} is no label: it {problem}. Choose another one, such as AS=trial-1.")
