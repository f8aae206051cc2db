"""Become a program of the stack: `launch.py PLAN`, where PLAN is a JSON file {"argv", "env", "cwd"} of mode 0600.

The supervisor's own configuration would need the secrets of `env` quoted in a grammar that cannot hold them all.
Runs under `python -I -S`, so only the standard library is at hand.
"""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.chdir(plan["cwd"])
    os.execve(plan["argv"][0], plan["argv"], plan["env"])  # noqa: S606 - an argv list, and no shell is wanted
