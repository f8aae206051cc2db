"""Stand-ins for docker, syft, grype and cosign as publish.py calls them: `registry_standin.py FOLDER PROGRAM …`.

Images are files of FOLDER/engine. A push goes to the registry's API at AWS_ENDPOINT_URL, which keeps the repository's own rules
(immutable tags); signatures are files. `faults.json` says which image has a known vulnerability, and after which step the program stops.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path


def main(folder: Path, program: str, arguments: list[str]) -> int:
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join([program, *arguments]) + "\n")
    faults = json.loads((folder / "faults.json").read_text()) if (folder / "faults.json").exists() else {}
    if faults.get("stop") == f"{program} {arguments[0]}":
        print("stopped", file=sys.stderr)
        return 1
    options = {name: value for name, _, value in (a.partition("=") for a in arguments if a.startswith("--"))}
    if program == "docker":
        return docker(folder, arguments, options)
    if program == "syft":
        Path(options["--output"].partition("=")[2]).write_text(
            json.dumps({"spdxVersion": "SPDX-2.3", "of": arguments[1]})
        )
        return 0
    if program == "grype":
        Path(options["--file"]).write_text("NAME INSTALLED FIXED-IN\n")
        print("discovered vulnerabilities at or above the severity threshold", file=sys.stderr)
        return 2 if any(f"/{image}.spdx" in arguments[0] for image in faults.get("weak", [])) else 0
    signatures = folder / "signatures.json"
    known = json.loads(signatures.read_text()) if signatures.exists() else {}
    key = f"{'attestation' if arguments[0] in ('attest', 'verify-attestation') else 'signature'} {arguments[-1]}"
    if arguments[0].startswith("verify"):
        wanted = [options["--certificate-identity"], options["--certificate-github-workflow-sha"]]
        print("no matching signatures", file=sys.stderr)
        return 0 if known.get(key) == wanted else 1
    workflow = f"https://github.com/{os.environ['GITHUB_REPOSITORY']}/.github/workflows/release.yml"
    known[key] = [f"{workflow}@{os.environ['GITHUB_REF']}", os.environ["GITHUB_SHA"]]
    signatures.write_text(json.dumps(known))
    return 0


def docker(folder: Path, arguments: list[str], options: dict[str, str]) -> int:
    engine = folder / "engine"
    engine.mkdir(exist_ok=True)

    def at(name: str) -> Path:
        return engine / name.replace("/", "_")

    if arguments[0] == "login":
        return 0 if sys.stdin.read() and "DOCKER_CONFIG" in os.environ else 1
    if arguments[:2] == ["image", "inspect"]:
        print(f"sha256:{hashlib.sha256(at(arguments[-1]).read_bytes()).hexdigest()}")
    elif arguments[0] == "save":
        name = arguments[-1]
        Path(options["--output"]).write_text(json.dumps({"name": name, "image": at(name).read_text()}))
    elif arguments[0] == "load":
        packed = json.loads(Path(options["--input"]).read_text())
        at(packed["name"]).write_text(packed["image"])
    elif arguments[0] == "tag":
        at(arguments[2]).write_text(at(arguments[1]).read_text())
    elif arguments[0] == "push":
        image = at(arguments[-1]).read_bytes()
        _, _, name = arguments[-1].partition("/")
        repository, _, tag = name.rpartition(":")
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": "x", "size": 1, "digest": f"sha256:{hashlib.sha256(image).hexdigest()}"},
            "layers": [],
        }
        body = {"repositoryName": repository, "imageManifest": json.dumps(manifest), "imageTag": tag}
        request = urllib.request.Request(
            os.environ["AWS_ENDPOINT_URL"],
            data=json.dumps(body | {"imageManifestMediaType": kind}).encode(),
            headers={
                "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.PutImage",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecr/aws4_request, Signature=x",
            },
        )
        with urllib.request.urlopen(request, timeout=10):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
