"""Replace this process by a program of the stack: `launch.py PLAN`. PLAN is a JSON file {"argv", "env", "cwd"} of mode 0600.

supervisord's configuration could hold `env` too, but its syntax cannot quote every secret.
Runs under `python -I -S`: only the standard library is available.
"""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.chdir(plan["cwd"])
    os.execve(plan["argv"][0], plan["argv"], plan["env"])  # noqa: S606 - an argv list, and no shell is wanted
