"""What a change does to one real day: `report.py --base SHA --change SHA --day 2019-09-10 FOLDER`.

Both commits run the day through DVC, each in a checkout and the locked environment of its own, on the same raw objects and
one cache: a stage that the change does not touch is not computed twice. FOLDER gets `report.md` and the pictures that it names.
The environments of `make pipeline/.venv/.installed` and the local servers' have to be there.
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


class ReportError(Exception):
    """A commit could not be checked out or run; the message has the end of what it said."""


@dataclass(frozen=True)
class Side:
    """One of the two commits: what the report calls it, which commit, where it is checked out."""

    name: str
    commit: str
    tree: Path

    @property
    def environment(self) -> Path:
        lock = (self.tree / "pipeline" / "uv.lock").read_bytes()
        return STATE / "report" / "environments" / hashlib.sha256(lock).hexdigest()[:16]

    def variables(self) -> dict[str, str]:
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
    """All objects of this checkout and none of its names: the report's tags are the only ones, and nothing of it stays."""

    def of_root(path: str) -> Path:
        return Path(_run(["git", "rev-parse", "--path-format=absolute", "--git-path", path], _ISOLATED, ROOT).strip())

    _run(["git", "init", "--quiet", "--template=", str(clone)], _ISOLATED)
    (clone / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "objects" / "info" / "alternates").write_text(f"{of_root('objects')}\n", encoding="utf-8")
    if (shallow := of_root("shallow")).exists():
        (clone / ".git" / "shallow").write_bytes(shallow.read_bytes())
    return clone


def check_out(name: str, commit: str, clone: Path) -> Side:
    """A worktree of `commit` beside the clone, and its pipeline's locked environment."""
    side = Side(name, commit, clone.parent / name)
    _run(["git", "-C", str(clone), "worktree", "add", "--quiet", "--detach", str(side.tree), commit], _ISOLATED)
    project = {"UV_PROJECT_ENVIRONMENT": str(side.environment), "UV_PYTHON_DOWNLOADS": "never"}
    _run(
        [str(UV), "sync", "--quiet", "--locked", "--compile-bytecode", "--project", str(side.tree / "pipeline")],
        project,
    )
    return side


def run_day(side: Side, day: str) -> None:
    """Reproduce the day, and commit its `dvc.lock` under the side's name, in the scratch clone alone.

    Raises:
        ReportError: a stage failed.
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
    """`dvc metrics diff` or `dvc params diff` of the two sides: file to name to `old`, `new`, `diff`."""
    text = _run(["dvc", kind, "diff", "main", "change", "--all", "--json"], side.variables(), side.tree)
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text or "{}")
    return found


def draw(side: Side, revisions: list[str], folder: Path) -> dict[str, str]:
    """`dvc plots diff` as PNG files in `folder`, one where both sides have the same; the title of each by file name."""
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
    """The report of two runs that both ended well."""
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
    """Write the report; returns whether the change ran its day."""
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
            except ReportError as error:
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
    # The change's own code runs here: it gets no credentials.
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
        raise ReportError(f"{' '.join(command[:3])} took more than {_STAGE_SECONDS} s") from error
    if done.returncode:
        raise ReportError(
            f"{' '.join(command[:3])} answered {done.returncode}\n{(done.stderr or done.stdout).strip()[-1500:]}"
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
        well = report(options.base, options.change, options.day, options.folder)
    except ReportError as error:
        print(error, file=sys.stderr)
        return 1
    print(options.folder / "report.md")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
