"""A number that nobody knows before."""

import secrets
import sys
from pathlib import Path

Path(sys.argv[1]).write_text(secrets.token_hex(8))
