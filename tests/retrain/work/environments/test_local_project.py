"""The list of a frozen text of what each run installs from its own checkout."""

from __future__ import annotations

from retrain.work.environments import frozen, local_project
from retrain.work.environments.local_project import LocalProject


def test_a_frozen_text_gives_back_its_local_projects() -> None:
    own = [LocalProject("libs/my lib"), LocalProject("."), LocalProject("tools", required=False), LocalProject(".")]
    text = frozen.canonical("six==1 --hash=sha256:aa", python="3.12", local=own)
    assert text.startswith("# python 3.12\n# local .\n# local libs/my lib\n# own tools\nsix==1")
    assert local_project.listed_in(text) == tuple(sorted(set(own)))
    assert frozen.requirements(text) == ["six==1"]
