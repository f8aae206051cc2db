"""Print which files a .dvcignore hides, of those whose paths stand in a JSON list on stdin: DVC leaves them out of a folder's MD5.

Run it in the top folder of a checkout, with the Python of the deployment's own DVC environment. The document on stdout is
{"ignored": [...]}, in the order of the list.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from dvc.repo import Repo


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    paths = json.loads(sys.stdin.buffer.read())
    with tempfile.TemporaryDirectory() as scratch:
        # DVC caches file hashes of all checkouts in one folder of the machine: a throw-away folder instead.
        os.environ["DVC_SITE_CACHE_DIR"] = scratch
        repo = Repo(uninitialized=True, config={"cache": {"dir": scratch}})
        hidden = [path for path in paths if repo.dvcignore.is_ignored_file(str(Path(repo.root_dir, path)))]
    with document:
        json.dump({"ignored": hidden}, document)
        document.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
