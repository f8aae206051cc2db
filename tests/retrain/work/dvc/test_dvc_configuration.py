"""The configuration of DVC in a workspace, beside the release's own."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

from retrain.work.dvc import configuration

THEIRS = """
['remote "prices"']
    url = https://prices.example.org/dvc
    auth = {auth}
['remote "charts"']
    url = https://charts.example.org/dvc
    auth = basic
    user = team
    password = p%ss
['remote "open"']
    url = https://open.example.org/dvc
"""


def written(checkout: Path, theirs: str) -> dict[str, dict[str, str]]:
    """The sections that a run adds to a project with this configuration."""
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
    (checkout / ".dvc").mkdir()
    (checkout / ".dvc" / "config").write_text(theirs)
    configuration.write(checkout, checkout.parent / "cache", "1" * 64, "s3://store/dvc", None)
    config = configparser.ConfigParser(interpolation=None)
    config.read(checkout / ".dvc" / "config.local")
    return {name: dict(config[name]) for name in config.sections()}


@pytest.mark.parametrize("auth", ["basic", "digest", "custom"])
def test_each_remote_that_asks_for_a_login_gets_one_so_that_dvc_push_can_make_a_client_of_it(
    auth: str, tmp_path: Path
) -> None:
    """`dvc push` asks none of them. A login that the project has is left as it is."""
    found = written(tmp_path / "checkout", THEIRS.format(auth=auth))
    remotes = {name: options for name, options in found.items() if "remote" in name}
    assert remotes == {
        "'remote \"retrain\"'": {"url": "s3://store/dvc"},
        "'remote \"prices\"'": {"user": "nobody", "password": "none"},
    }


def test_a_configuration_that_dvc_refuses_is_left_for_dvc_to_name(tmp_path: Path) -> None:
    assert "core" in written(tmp_path / "checkout", "url = of no section\n")
