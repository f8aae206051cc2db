"""Check the pinned actions: does the tag in each comment still name the pinned commit? Run by `make actions`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

WORKFLOWS = Path(__file__).resolve().parents[2] / ".github" / "workflows"
PIN = re.compile(r"uses: (?P<action>[\w.-]+/[\w.-]+)(?:/[\w./-]+)?@(?P<commit>[0-9a-f]{40}) # (?P<tag>v\d+\.\d+\.\d+)$")


def pins(folder: Path = WORKFLOWS) -> set[tuple[str, str, str]]:
    """(action, commit, tag) of every correctly pinned `uses:` in the workflows of `folder`."""
    found = (
        PIN.search(line)
        for path in sorted(folder.glob("*.yml"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return {(match["action"], match["commit"], match["tag"]) for match in found if match}


def commit_of(server: str, action: str, tag: str) -> str | None:
    """The commit that a tag names at its origin; None when there is no such tag.

    Raises:
        subprocess.CalledProcessError: the origin refused.
        subprocess.TimeoutExpired: the origin did not answer within a minute.
    """
    asked = ["git", "ls-remote", f"{server}/{action}", f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    lines = {name: commit for commit, _, name in (line.partition("\t") for line in done.stdout.splitlines())}
    # An annotated tag is a separate object; its ^{} is the commit.
    return lines.get(f"refs/tags/{tag}^{{}}") or lines.get(f"refs/tags/{tag}")


def main(arguments: list[str]) -> int:
    server = arguments[0] if arguments else "https://github.com"
    wrong = 0
    for action, commit, tag in sorted(pins()):
        try:
            origin = commit_of(server, action, tag)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{action} {tag}: {server} does not answer ({getattr(error, 'stderr', error)})", file=sys.stderr)
            return 1
        wrong += origin != commit
        print(
            f"{'ok   ' if origin == commit else 'OTHER'} {action} {tag} {commit}{'' if origin == commit else f', origin: {origin}'}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
