"""Stand-ins for the programs that `retrain-deploy` calls: `deploy_standin.py FOLDER PROGRAM …`.

`docker` knows the images that were pulled by digest with a login, and refuses the rest; `cosign` knows who signed which digest;
`aws` gives a registry's password, secrets and parameters, unless the account is away. Everything is in files of one folder:
`world.json` is what exists, `calls` what was asked, `containers` what was stopped and started.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

PASSWORD = "the registry's password"


class ProgramRefusesError(Exception):
    """A stand-in refuses a call, with the sentence of the real program."""


class World:
    """What exists outside of the host: images by digest, tags, signatures, secrets, parameters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "world.json"
        empty: dict[str, Any] = {"tags": {}, "images": {}, "signed": {}, "secrets": {}, "parameters": {}, "away": []}
        self.known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else empty

    def save(self) -> None:
        draft = self.folder / "world.new"
        draft.write_text(json.dumps(self.known))
        draft.replace(self.folder / "world.json")

    def local(self) -> dict[str, str]:
        """The engine's images: reference -> id."""
        path = self.folder / "engine.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def set_local(self, images: dict[str, str]) -> None:
        (self.folder / "engine.json").write_text(json.dumps(images))

    def at(self, reference: str) -> dict[str, Any]:
        """The registry's image of a reference by digest."""
        if reference not in self.known["images"]:
            raise ProgramRefusesError(
                f"Error response from daemon: manifest for {reference} not found: manifest unknown"
            )
        return dict(self.known["images"][reference])


def aws(world: World, arguments: list[str], options: dict[str, str]) -> None:
    if arguments[0] in world.known["away"]:
        raise ProgramRefusesError(
            f'Could not connect to the endpoint URL: "https://{arguments[0]}.us-east-1.amazonaws.com/"'
        )
    if arguments[:2] == ["ecr", "get-login-password"]:
        print(PASSWORD)
    elif arguments[0] == "secretsmanager":
        name = options["--secret-id"]
        if name not in world.known["secrets"]:
            raise ProgramRefusesError(
                "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: "
                "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
            )
        print(world.known["secrets"][name])
    elif arguments[0] == "ssm":
        names = arguments[arguments.index("--names") + 1 :]
        if len(names) > 10:
            raise ProgramRefusesError("ValidationException: Member must have length less than or equal to 10")
        known = world.known["parameters"]
        print(json.dumps({"Parameters": [{"Name": name, "Value": known[name]} for name in names if name in known]}))


def cosign(world: World, arguments: list[str], options: dict[str, str]) -> None:
    reference = arguments[-1]
    if arguments[0] != "verify" or "@sha256:" not in reference:
        raise ProgramRefusesError("Error: verify a digest, not a tag")
    if not (Path(os.environ["DOCKER_CONFIG"]) / "config.json").exists():
        raise ProgramRefusesError("Error: GET https://registry/v2/: UNAUTHORIZED: authentication required")
    if "cosign" in world.known["away"]:
        raise ProgramRefusesError("Error: getting trusted root: tuf-repo-cdn.sigstore.dev: no such host")
    signed = world.known["signed"].get(reference)
    if signed is None:
        raise ProgramRefusesError("Error: no signatures found\nerror during command execution: no signatures found")
    if key := options.get("--key"):
        if Path(key).read_text() != signed:
            raise ProgramRefusesError(
                "Error: no matching signatures: invalid signature when validating ASN.1 encoded signature"
            )
    elif signed != [options["--certificate-identity"], options["--certificate-oidc-issuer"]]:
        raise ProgramRefusesError(
            f"Error: no matching signatures: none of the expected identities matched, got subjects [{signed[0]}]"
        )
    print(json.dumps([{"critical": {"image": {"docker-manifest-digest": reference.partition("@")[2]}}}]))


def _login(_world: World, _arguments: list[str], _options: dict[str, str]) -> None:
    if sys.stdin.read() != PASSWORD:
        raise ProgramRefusesError("Error response from daemon: login attempt failed with status: 401 Unauthorized")
    (Path(os.environ["DOCKER_CONFIG"]) / "config.json").write_text("{}")


def _pull(world: World, arguments: list[str], _options: dict[str, str]) -> None:
    if not (Path(os.environ["DOCKER_CONFIG"]) / "config.json").exists():
        raise ProgramRefusesError("Error response from daemon: pull access denied: no basic auth credentials")
    world.set_local(world.local() | {arguments[-1]: world.at(arguments[-1])["id"]})


def _image(world: World, arguments: list[str], options: dict[str, str]) -> None:
    engine, asked = world.local(), arguments[-1]
    if arguments[1] == "inspect":
        if asked not in {*engine, *engine.values()}:
            raise ProgramRefusesError(f"Error response from daemon: No such image: {asked}")
        user = world.known["images"].get(asked, {}).get("user", "50000:50000")
        print(user if "User" in options["--format"] else engine.get(asked, asked))
    elif arguments[1] == "ls":
        prefix = options["--filter"].removeprefix("reference=").removesuffix("*")
        print("\n".join(image for reference, image in engine.items() if reference.startswith(prefix)))
    else:
        world.set_local({reference: image for reference, image in engine.items() if image != asked})


def _create(world: World, arguments: list[str], _options: dict[str, str]) -> None:
    if arguments[-1] not in world.local():
        raise ProgramRefusesError(f"Unable to find image '{arguments[-1]}' locally")
    print(arguments[-1])


def _cp(world: World, arguments: list[str], _options: dict[str, str]) -> None:
    shutil.copytree(world.at(arguments[1].partition(":/")[0])["files"], arguments[2], dirs_exist_ok=True, symlinks=True)


def _ps(world: World, _arguments: list[str], _options: dict[str, str]) -> None:
    print("\n".join(world.known.get("workers", [])))


def docker(world: World, arguments: list[str], options: dict[str, str]) -> None:
    known = {
        "login": _login,
        "pull": _pull,
        "image": _image,
        "create": _create,
        "cp": _cp,
        "ps": _ps,
        "compose": compose,
    }
    if arguments[0] in known:
        known[arguments[0]](world, arguments, options)


def compose(world: World, arguments: list[str], options: dict[str, str]) -> None:
    file = Path(options["--file"])
    if "config" in arguments:
        lines = Path(options["--env-file"]).read_text().splitlines()
        variables = {name: value.strip("'") for name, value in (line.split("=", 1) for line in lines)} | dict(
            os.environ
        )
        text = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], file.read_text())
        print(text.replace('"./', f'"{file.parent}/'))
        return
    document = json.loads(file.read_text())
    for service in document["services"].values():
        for volume in service.get("volumes", ()):
            if volume["type"] != "bind" or volume["bind"]["create_host_path"]:
                continue
            if not Path(volume["source"]).exists():
                raise ProgramRefusesError(
                    f"Error response from daemon: bind source path does not exist: {volume['source']}"
                )
    if world.known.get("unhealthy") in document["services"]:
        raise ProgramRefusesError(f"container retrain-{world.known['unhealthy']}-1 is unhealthy")
    (world.folder / "up.json").write_text(json.dumps(document))


def main(folder: Path, program: str, arguments: list[str]) -> int:
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join([program, *arguments]) + "\n")
    options = {name: value for name, _, value in (each.partition("=") for each in arguments if each.startswith("--"))}
    world = World(folder)
    try:
        if program == "mount":
            raise ProgramRefusesError("mount.nfs4: Connection timed out")
        {"aws": aws, "cosign": cosign, "docker": docker}[program](world, arguments, options)
    except ProgramRefusesError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
