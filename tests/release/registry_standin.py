"""Stand-ins for docker, syft, grype and cosign as publish.py calls them: `registry_standin.py FOLDER PROGRAM …`.

Images are files of FOLDER/engine, saved as `docker save` does. Signatures are files; cosign signs only what the registry at
AWS_ENDPOINT_URL has, with the access that it was given, and its log refuses a large attestation as the public one does.
`faults.json` says which image has a known vulnerability, and after which step the program stops.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

# The smallest attestations that the public log is known to have refused had "a couple MiB" (ublue-os/bluefin #4272). It documents no limit.
LOG_TAKES = 2_000_000
REFUSED = "POST https://rekor.sigstore.dev/api/v1/log/entries giving up after 4 attempt(s)"


def main(folder: Path, program: str, arguments: list[str]) -> int:
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join([program, *arguments]) + "\n")
    faults = json.loads((folder / "faults.json").read_text()) if (folder / "faults.json").exists() else {}
    step = f"{program} {arguments[0]}"
    if faults.get("stop") == step and faults.get("image", "") in arguments[-1]:
        print("stopped", file=sys.stderr)
        return 1
    options = {name: value for name, _, value in (a.partition("=") for a in arguments if a.startswith("--"))}
    if program == "docker":
        return docker(folder, arguments, options)
    if program == "syft":
        image = arguments[1].removeprefix("docker:retrain/").partition(":")[0]
        write_list(Path(options["--output"].partition("=")[2]), faults.get("packages", {}).get(image, 3))
        return 0
    if program == "grype":
        Path(options["--file"]).write_text("NAME INSTALLED FIXED-IN\n")
        print("discovered vulnerabilities at or above the severity threshold", file=sys.stderr)
        return 2 if any(f"/{image}.spdx" in arguments[0] for image in faults.get("weak", [])) else 0
    return cosign(folder, arguments, options)


def write_list(path: Path, packages: int) -> None:
    """A list of `packages` Python packages as syft writes it, with the files and product names that it has by default."""
    files = [{"SPDXID": f"SPDXRef-File-{number}", "fileName": f"/opt/airflow/lib/{number}.py"} for number in range(9)]
    listed = [
        {
            "name": f"package-{number}",
            "SPDXID": f"SPDXRef-Package-python-package-{number}",
            "versionInfo": "1.2.3",
            "downloadLocation": "NOASSERTION",
            "sourceInfo": f"acquired package info from /opt/airflow/lib/package_{number}/METADATA",
            "externalRefs": [
                {"referenceType": "purl", "referenceLocator": f"pkg:pypi/package-{number}@1.2.3"},
                *(
                    {
                        "referenceType": "cpe23Type",
                        "referenceLocator": f"cpe:2.3:a:vendor-{guess}:package-{number}:1.2.3",
                    }
                    for guess in range(9)
                ),
            ],
        }
        for number in range(packages)
    ]
    relationships = [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "CONTAINS", "relatedSpdxElement": entry["SPDXID"]}
        for entry in [*listed, *files]
    ] + [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-Package-python-package-0",
        }
    ]
    document = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": listed, "files": files}
    path.write_text(json.dumps(document | {"relationships": relationships}))


def docker(folder: Path, arguments: list[str], options: dict[str, str]) -> int:
    """`docker save --output=FILE NAME…`: the layers of all images once, uncompressed, and one manifest.json."""
    engine = folder / "engine"
    if arguments[0] != "save":
        print(f"the stand-in has no docker {arguments[0]}", file=sys.stderr)
        return 1
    entries, members = [], {}
    for name in arguments[2:]:
        if not (engine / name.replace("/", "_")).exists():
            print(f"Error response from daemon: reference does not exist: {name}", file=sys.stderr)
            return 1
        built = json.loads((engine / name.replace("/", "_")).read_text())
        layers = [base64.b64decode(layer) for layer in built["layers"]]
        digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
        configuration = {
            "architecture": built["architecture"],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
        content = json.dumps(configuration).encode()
        config = f"{hashlib.sha256(content).hexdigest()}.json"
        members |= {config: content} | {
            f"{digest}/layer.tar": layer for digest, layer in zip(digests, layers, strict=True)
        }
        entries.append({"Config": config, "RepoTags": [name], "Layers": [f"{digest}/layer.tar" for digest in digests]})
    members["manifest.json"] = json.dumps(entries).encode()
    with tarfile.open(options["--output"], "w") as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return 0


def cosign(folder: Path, arguments: list[str], options: dict[str, str]) -> int:
    name, _, digest = arguments[-1].partition("@")
    host, _, repository = name.partition("/")
    access = json.loads((Path(os.environ["DOCKER_CONFIG"]) / "config.json").read_text())["auths"]
    if not base64.b64decode(access[host]["auth"]).startswith(b"AWS:") or not has(repository, digest):
        print(f"GET https://{host}/v2/{repository}/manifests/{digest}: MANIFEST_UNKNOWN", file=sys.stderr)
        return 1
    signatures = folder / "signatures.json"
    known = json.loads(signatures.read_text()) if signatures.exists() else {}
    key = f"{'attestation' if arguments[0] in ('attest', 'verify-attestation') else 'signature'} {arguments[-1]}"
    if arguments[0].startswith("verify"):
        given = known.get(key, {})
        print("Error: no matching signatures", file=sys.stderr)
        return 0 if given and all(given.get(option, value) == value for option, value in options.items()) else 1
    if arguments[0] == "attest":
        predicate = json.loads(Path(options["--predicate"]).read_bytes())
        statement = json.dumps(
            {"_type": "https://in-toto.io/Statement/v0.1", "subject": [name], "predicate": predicate}
        )
        if len(base64.b64encode(statement.encode())) >= LOG_TAKES:
            print(f"Error: signing {arguments[-1]}: {REFUSED}", file=sys.stderr)
            return 1
    workflow = f"https://github.com/{os.environ['GITHUB_REPOSITORY']}/.github/workflows/release.yml"
    known[key] = {
        "--certificate-identity": f"{workflow}@{os.environ['GITHUB_REF']}",
        "--certificate-oidc-issuer": "https://token.actions.githubusercontent.com",
        "--certificate-github-workflow-sha": os.environ["GITHUB_SHA"],
    }
    signatures.write_text(json.dumps(known))
    return 0


def has(repository: str, digest: str) -> bool:
    """Ask the registry for an image."""
    body: dict[str, Any] = {"repositoryName": repository, "imageIds": [{"imageDigest": digest}]}
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"],
        data=json.dumps(body).encode(),
        headers={
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.BatchGetImage",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecr/aws4_request, Signature=x",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bool(json.load(answer)["images"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
