"""Launch plans: the command and environment of each program, in a file that `launch.py` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from program_variables import inherited_environment
from programs import Program
from stack_model import Stack
from state_files import write_private


def plan_file(stack: Stack, program: Program) -> Path:
    """The file from which `launch.py` reads which program to become."""
    return stack.run_dir / f"{program.name}.json"


def write_plan(stack: Stack, program: Program) -> None:
    """Write a program's launch plan, with mode 0600 because it holds secrets."""
    plan = {"argv": program.argv, "env": dict(program.env), "cwd": str(program.cwd)}
    write_private(plan_file(stack, program), json.dumps(plan, indent=1) + "\n")


def differs_from_plan(stack: Stack, program: Program, environ: Mapping[str, str]) -> bool:
    """True if a running program was started with another command or other settings than now; inherited variables do not count."""
    try:
        plan = json.loads(plan_file(stack, program).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    inherited = inherited_environment(environ)
    own = {name: value for name, value in program.env.items() if name not in inherited}
    return plan["argv"] != list(program.argv) or any(plan["env"].get(name) != value for name, value in own.items())
