"""Which commit a trial takes without being told one."""

from __future__ import annotations

from retrain.trial.trial_commit import newest_release


def test_the_newest_release_is_the_highest_version_and_not_the_last_in_the_alphabet() -> None:
    assert newest_release(["v0.9.0", "v0.10.0", "v0.2.11"]) == "v0.10.0"


def test_tags_of_another_form_are_no_releases() -> None:
    assert newest_release(["v1.0.0", "2026.1", "v2.0.0-rc.1", "model@v3.0.0"]) == "v1.0.0"
    assert newest_release(["latest"]) is None
