"""`python -m retrain`."""

from __future__ import annotations

import sys

from retrain.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main())
