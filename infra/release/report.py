"""Compare two commits on one real day: `report.py --base SHA --change SHA --day 2019-09-10 FOLDER`.

Both commits run the day through DVC, each in its own checkout with its own locked environment, on the same raw objects and one
shared cache: a stage that the change does not touch is not computed twice. Writes `report.md` and its pictures to FOLDER.
Needs the environments of `make pipeline/.venv/.installed` and of the local servers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local").absolute()
UV = ROOT / ".local" / "tools" / "bin" / "uv"
SERVERS = ROOT / ".local" / "envs" / "servers" / "bin" / "python"
HEADER = "<!-- retrain: a real day -->"
_STAGE_SECONDS = 1800


class ComparisonError(Exception):
    """A commit could not be checked out or run; the message has the end of the program's output."""


@dataclass(frozen=True)
class Side:
    """One of the two commits: its name in the report, its id, and the folder of its checkout."""

    name: str
    commit: str
    tree: Path

    @property
    def environment(self) -> Path:
        """The folder of the pipeline's environment, shared by commits with the same lock."""
        lock = (self.tree / "pipeline" / "uv.lock").read_bytes()
        return STATE / "report" / "environments" / hashlib.sha256(lock).hexdigest()[:16]

    def variables(self) -> dict[str, str]:
        """The variables with which the commit's own programs run."""
        return _ISOLATED | {
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
            "RETRAIN_STATE": str(STATE),
        }


_ISOLATED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "report",
    "GIT_AUTHOR_EMAIL": "report@localhost",
    "GIT_COMMITTER_NAME": "report",
    "GIT_COMMITTER_EMAIL": "report@localhost",
}


def scratch_clone(clone: Path) -> Path:
    """A repository at `clone` with all objects of this checkout but none of its branches and tags; returns `clone`."""

    def of_root(path: str) -> Path:
        return Path(_run(["git", "rev-parse", "--path-format=absolute", "--git-path", path], _ISOLATED, ROOT).strip())

    _run(["git", "init", "--quiet", "--template=", str(clone)], _ISOLATED)
    (clone / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "objects" / "info" / "alternates").write_text(f"{of_root('objects')}\n", encoding="utf-8")
    if (shallow := of_root("shallow")).exists():
        (clone / ".git" / "shallow").write_bytes(shallow.read_bytes())
    return clone


def check_out(name: str, commit: str, clone: Path) -> Side:
    """Check out `commit` beside the clone, and install its pipeline's locked environment.

    Raises:
        ComparisonError: Git or uv failed.
    """
    side = Side(name, commit, clone.parent / name)
    _run(["git", "-C", str(clone), "worktree", "add", "--quiet", "--detach", str(side.tree), commit], _ISOLATED)
    project = {"UV_PROJECT_ENVIRONMENT": str(side.environment), "UV_PYTHON_DOWNLOADS": "never"}
    _run(
        [str(UV), "sync", "--quiet", "--locked", "--compile-bytecode", "--project", str(side.tree / "pipeline")],
        project,
    )
    return side


def run_day(side: Side, day: str) -> None:
    """Reproduce the day, then commit its `dvc.lock` and tag it with the side's name, in the scratch clone only.

    Raises:
        ComparisonError: a stage failed.
    """
    variables, tree = side.variables(), side.tree
    # The tool is a folder; in older commits it is one file.
    tool = "infra/local/trips" if (tree / "infra/local/trips").is_dir() else "infra/local/trips.py"
    _run([str(SERVERS), tool, "inputs", "--partition", day], variables, tree)
    _run(["dvc", "cache", "dir", "--local", str(STATE / "report" / "cache")], variables, tree)
    _run(["dvc", "config", "--local", "core.site_cache_dir", str(STATE / "report" / side.name)], variables, tree)
    _run(["dvc", "repro"], variables, tree)
    _run(["git", "add", "--force", "dvc.lock"], variables, tree)
    _run(
        ["git", "commit", "--quiet", "--allow-empty", "--message", day],
        variables,
        tree,
    )
    _run(["git", "tag", "--force", side.name], variables, tree)


def differences(side: Side, kind: str) -> dict[str, dict[str, dict[str, Any]]]:
    """`dvc metrics diff` or `dvc params diff` of the two sides: file -> name -> `old`, `new`, `diff`."""
    text = _run(["dvc", kind, "diff", "main", "change", "--all", "--json"], side.variables(), side.tree)
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text or "{}")
    return found


def draw(side: Side, revisions: list[str], folder: Path) -> dict[str, str]:
    """Write `dvc plots diff` as PNG files to `folder`, one file where both sides agree; returns file name -> title."""
    import vl_convert

    with tempfile.TemporaryDirectory() as scratch:
        text = _run(["dvc", "plots", "diff", *revisions, "--json", f"--out={scratch}"], side.variables(), side.tree)
        plots: dict[str, list[dict[str, Any]]] = json.loads(text)["data"]
        drawn: dict[str, str] = {}
        for name, parts in plots.items():
            for part in parts:
                if part["type"] == "vega":
                    title = part["content"].get("title") or name
                    file, title = f"{Path(name).stem}.png", title["text"] if isinstance(title, dict) else title
                    (folder / file).write_bytes(vl_convert.vegalite_to_png(part["content"], scale=1.5))
                else:
                    (revision,) = part["revisions"]
                    file, title = f"{Path(name).stem}-{revision}.png", f"{name}, {revision}"
                    if any(Path(part["url"]).read_bytes() == (folder / other).read_bytes() for other in drawn):
                        continue
                    (folder / file).write_bytes(Path(part["url"]).read_bytes())
                drawn[file] = title
    return drawn


def write(
    day: str,
    commits: Mapping[str, str],
    metrics: Mapping[str, Any],
    params: Mapping[str, Any],
    drawn: Mapping[str, str],
) -> str:
    """The Markdown of the report, when both commits ran the day. `drawn` is file name -> title of the pictures."""
    lines = [
        HEADER,
        f"### {day}: this change ({commits['change'][:9]}) against main ({commits['main'][:9]})",
        "",
    ]
    rows = [(name, values) for file in metrics.values() for name, values in sorted(file.items())]
    changed = [(name, values) for name, values in rows if values.get("old") != values.get("new")]
    if not changed:
        lines += ["Every metric of the day is the same.", ""]
    else:
        lines += ["| Metric | main | change | difference |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {name} | {_number(v.get('old'))} | {_number(v.get('new'))} | {_number(v.get('diff'), sign=True)} |"
            for name, v in changed
        ]
        lines += ["", f"Metrics that are the same: {len(rows) - len(changed)}.", ""]
    changes = [
        f"`{name}` {_number(v.get('old'))} → {_number(v.get('new'))}"
        for file in params.values()
        for name, v in sorted(file.items())
        if v.get("old") != v.get("new")
    ]
    lines += [f"Parameters: {', '.join(changes)}.", ""] if changes else []
    lines += [part for file, title in drawn.items() for part in (f"![{title}]({file})", "")]
    return "\n".join(lines)


def report(base: str, change: str, day: str, folder: Path) -> bool:
    """Write the report to `folder`; returns True if the change ran the day."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        commits = {
            name: _run(["git", "rev-parse", "--verify", f"{revision}^{{commit}}"], _ISOLATED, ROOT).strip()
            for name, revision in (("main", base), ("change", change))
        }
        clone = scratch_clone(Path(scratch) / "clone")
        sides, failed = {}, {}
        for name, commit in commits.items():
            try:
                sides[name] = check_out(name, commit, clone)
                run_day(sides[name], day)
            except ComparisonError as error:
                failed[name] = str(error)
        if failed:
            text = "\n".join(
                [
                    HEADER,
                    *(
                        f"### {day} does not run with {name} ({commits[name][:9]})\n\n```\n{said}\n```\n"
                        for name, said in failed.items()
                    ),
                ]
            )
        else:
            side = sides["change"]
            drawn = draw(side, ["main", "change"], folder)
            text = write(day, commits, differences(side, "metrics"), differences(side, "params"), drawn)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return "change" not in failed


def _number(value: object, *, sign: bool = False) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    return f"{value:+.5g}" if sign else f"{value:.5g}"


def _run(command: list[str], variables: Mapping[str, str], tree: Path | None = None) -> str:
    # This runs the change's own code: it must not see any credentials.
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("AWS_", "ACTIONS_", "GITHUB_", "PYTHON", "VIRTUAL_ENV"))
    }
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=kept | dict(variables),
            capture_output=True,
            text=True,
            timeout=_STAGE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ComparisonError(f"{' '.join(command[:3])} took more than {_STAGE_SECONDS} s") from error
    if done.returncode:
        raise ComparisonError(
            f"{' '.join(command[:3])} ended with exit code {done.returncode}\n{(done.stderr or done.stdout).strip()[-1500:]}"
        )
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="the commit of main that the change goes into")
    parser.add_argument("--change", required=True)
    parser.add_argument("--day", default="2019-09-10")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        ran = report(options.base, options.change, options.day, options.folder)
    except ComparisonError as error:
        print(error, file=sys.stderr)
        return 1
    print(options.folder / "report.md")
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(main())
