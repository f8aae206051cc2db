"""The first command of a new checkout: behind a proxy that re-signs TLS, and without a network once everything was downloaded."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from loopback import ROOT, free_ports

sys.path.insert(0, str(ROOT / "tests" / "contract"))

from network_advice import BUNDLES, advice
from package_index import package_index, write_wheel
from pip_run import run_pip

STORE = Path("/etc/ssl/certs")
UV = ROOT / ".local" / "tools" / "bin" / "uv"
AIRFLOW_PYTHON = ROOT / ".venv" / "bin" / "python"
# Nothing that tells uv or pip about certificates, an index or a proxy.
FOREIGN = ("UV_", "PIP_", "MAKE", "MFLAGS", "HTTP", "http", "ALL_PROXY", "all_proxy", "REQUESTS_", "CURL_", "SSL_")
PROJECT = """
[project]
name = "release"
version = "1"
requires-python = ">=3.11"
dependencies = ["demo"]
[tool.uv]
package = false
[[tool.uv.index]]
url = "{url}"
default = true
"""
TARGET = """
include Makefile
$(THERE)/installed:
	$(call install,the environment of a test,"$(THERE)/release","$(THERE)/environment")
"""
# What a task does: the environment of a release, found or built.
BUILD = (
    "import sys; from pathlib import Path; from retrain.work.environments.environment import provide; "
    "print(provide(Path(sys.argv[1]), Path(sys.argv[2])).path)"
)


def _certificate(name: str, signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None):
    """A certificate with its key: of the authority `name`, or of 127.0.0.1 if a signer is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


@dataclass(frozen=True)
class Proxied:
    """A package index whose certificate only one authority vouches for; it offers demo 1.0.

    `store` is a folder like the system's store, with that authority in its bundle. `lock` is the project of a release.
    """

    url: str
    folder: Path
    authority: Path
    store: Path

    @property
    def release(self) -> Path:
        return self.folder / "release"

    def variables(self, cache: str, **more: str) -> dict[str, str]:
        """The variables of a machine with nothing set up, and an own cache."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "HOME": str(self.folder),
            "UV_CACHE_DIR": str(self.folder / cache),
            "UV_HTTP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_RETRIES": "0",
        }
        return {**kept, **own, **more}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    authority = _certificate("a proxy that re-signs")
    server, key = _certificate("127.0.0.1", authority)
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "authority.pem").write_bytes(authority[0].public_bytes(pem))
    (folder / "server.pem").write_bytes(
        server.public_bytes(pem) + key.private_bytes(pem, private, serialization.NoEncryption())
    )
    store = folder / "store"
    store.mkdir()
    shutil.copy(folder / "authority.pem", store / "ca-certificates.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with package_index(folder / "index", tls=context, kept=True) as index:
        index.add("demo", "1.0")
        made = Proxied(index.url, folder, folder / "authority.pem", store)
        made.release.mkdir()
        (made.release / "pyproject.toml").write_text(PROJECT.format(url=index.url))
        trusting = made.variables("lock-cache", SSL_CERT_FILE=str(made.authority))
        _succeed([UV, "lock", "--quiet", "--project", made.release], trusting)
        yield made


def _run(command: list[str | Path], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=False, timeout=120
    )


def _succeed(command: list[str | Path], variables: Mapping[str, str]) -> str:
    done = _run(command, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_store(store: Path, command: list[str | Path]) -> list[str | Path]:
    """The command, on a machine whose store of certificates is this folder."""
    mounted = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, "sh", store, STORE, *command]


@pytest.fixture
def system_store(proxied: Proxied) -> Path:
    """The system's store with the proxy's authority in it."""
    tried = _run(with_store(proxied.store, ["true"]), os.environ) if shutil.which("unshare") else None
    if tried is None or tried.returncode != 0:
        pytest.skip("needs the right to mount in a namespace: the system's store of certificates is not tested")
    return proxied.store


def make(proxied: Proxied, place: str) -> list[str | Path]:
    """The Makefile's installation of the release's environment in the folder `place`."""
    there = proxied.folder / place
    if not there.is_dir():
        there.mkdir()
        shutil.copytree(proxied.release, there / "release")
        (there / "target.mk").write_text(TARGET)
    python = f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"
    return ["make", "-f", there / "target.mk", f"THERE={there}", f"UV={UV}", python, there / "installed"]


def demo(place: Path) -> bool:
    """True if demo is installed below this folder."""
    return any(place.rglob("site-packages/demo.py"))


def test_the_first_command_trusts_the_system_s_store(proxied: Proxied, system_store: Path) -> None:
    _succeed(with_store(system_store, make(proxied, "store-trusted")), proxied.variables("store-cache"))
    assert demo(proxied.folder / "store-trusted" / "environment")


def test_the_first_command_says_which_certificate_it_misses_and_a_second_one_succeeds(proxied: Proxied) -> None:
    refused = _run(make(proxied, "refused"), proxied.variables("refused-cache", PIP_CERT="/nowhere.pem"))
    assert refused.returncode != 0
    assert not (proxied.folder / "refused" / "installed").exists()
    for said in (
        "the environment of a test could not be installed from its lock. The certificate of the package index is not trusted",
        "update-ca-certificates",
        "SSL_CERT_FILE for uv and PIP_CERT for pip. Set now: PIP_CERT=/nowhere.pem.",
    ):
        assert said in refused.stderr
    named = proxied.variables("refused-cache", SSL_CERT_FILE=str(proxied.authority))
    _succeed(make(proxied, "refused"), named)
    assert demo(proxied.folder / "refused" / "environment")


def test_a_task_trusts_the_system_s_store(proxied: Proxied, system_store: Path, tmp_path: Path) -> None:
    build = [AIRFLOW_PYTHON, "-c", BUILD, proxied.release, tmp_path]
    plugins = {"PYTHONPATH": str(ROOT / "plugins"), "RETRAIN_UV": str(UV)}
    refused = _run(build, proxied.variables("refused-task-cache", **plugins))
    assert "EnvironmentBuildError" in refused.stderr
    assert "or to the file that SSL_CERT_FILE names (not set now), then clear the task." in refused.stderr
    built = _succeed(with_store(system_store, build), proxied.variables("task-cache", **plugins)).splitlines()[-1]
    assert demo(Path(built))


def test_a_task_builds_an_environment_from_uv_s_cache_when_the_index_does_not_answer(
    proxied: Proxied, tmp_path: Path
) -> None:
    plugins = {"PYTHONPATH": str(ROOT / "plugins"), "RETRAIN_UV": str(UV), "SSL_CERT_FILE": str(proxied.authority)}
    gone = {"HTTPS_PROXY": f"http://127.0.0.1:{free_ports(1)[0]}", "NO_PROXY": ""}
    build = [AIRFLOW_PYTHON, "-c", BUILD, proxied.release]
    _succeed([*build, tmp_path / "first"], proxied.variables("kept-cache", **plugins))
    built = _succeed([*build, tmp_path / "second"], proxied.variables("kept-cache", **plugins, **gone)).splitlines()[-1]
    assert demo(Path(built))
    empty = _run([*build, tmp_path / "third"], proxied.variables("an-empty-cache", **plugins, **gone))
    assert "EnvironmentBuildError" in empty.stderr


def test_pip_is_run_again_with_the_system_s_store_if_it_refuses_a_certificate(
    proxied: Proxied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    for name, value in proxied.variables("pip-cache", PIP_INDEX_URL=proxied.url).items():
        monkeypatch.setenv(name, value)
    pip = [getattr(sys, "_base_executable", sys.executable), "-m", "pip"]
    arguments = ["download", "--no-deps", "demo==1.0", "--dest", str(tmp_path)]
    refused = run_pip(pip, arguments)
    assert refused.returncode != 0
    assert advice(refused.stdout + refused.stderr, os.environ).startswith("The certificate of the package index")
    monkeypatch.setenv("SSL_CERT_FILE", str(proxied.authority))
    assert run_pip(pip, arguments).returncode == 0
    assert [wheel.name for wheel in tmp_path.iterdir()] == ["demo-1.0-py3-none-any.whl"]


def test_a_second_checkout_installs_from_the_cache_without_a_network(proxied: Proxied) -> None:
    first = proxied.variables("shared-cache", SSL_CERT_FILE=str(proxied.authority))
    _succeed(make(proxied, "first"), first)
    gone = {"HTTPS_PROXY": f"http://127.0.0.1:{free_ports(1)[0]}", "NO_PROXY": ""}
    _succeed(make(proxied, "second"), {**first, **gone})
    assert demo(proxied.folder / "second" / "environment")
    other = _run(make(proxied, "third"), {**first, **gone, "UV_CACHE_DIR": str(proxied.folder / "no-cache")})
    assert "The package index could not be reached" in other.stderr
    assert f"Set now: HTTPS_PROXY={gone['HTTPS_PROXY']}." in other.stderr


@pytest.mark.slow
def test_a_second_checkout_takes_uv_from_the_shared_downloads(proxied: Proxied, tmp_path: Path) -> None:
    shared = tmp_path / "cache" / "retrain"
    shared.mkdir(parents=True)
    write_wheel(shared / "uv-0.0.1-py3-none-any.whl", "uv", "0.0.1")
    python = getattr(sys, "_base_executable", sys.executable)
    install = [python, "infra/local/install.py", "uv", "0.0.1", tmp_path / "tools"]
    nothing = f"http://127.0.0.1:{free_ports(1)[0]}/simple"
    variables = proxied.variables("none", XDG_CACHE_HOME=str(tmp_path / "cache"), PIP_INDEX_URL=nothing)
    _succeed(install, variables)
    assert any((tmp_path / "tools").rglob("site-packages/uv.py"))


def test_uv_is_installed_by_its_hash_and_other_bytes_are_refused(proxied: Proxied, tmp_path: Path) -> None:
    shared = tmp_path / "cache" / "retrain"
    shared.mkdir(parents=True)
    wheel = shared / "uv-0.0.1-py3-none-any.whl"
    write_wheel(wheel, "uv", "0.0.1")
    locked = tmp_path / "requirements.txt"
    python = getattr(sys, "_base_executable", sys.executable)
    install = [python, "infra/local/install.py", "uv", "0.0.1", tmp_path / "tools", locked]
    nothing = f"http://127.0.0.1:{free_ports(1)[0]}/simple"
    variables = proxied.variables(
        "none", XDG_CACHE_HOME=str(tmp_path / "cache"), PIP_INDEX_URL=nothing, PIP_RETRIES="0"
    )
    for digest in ("0" * 64, hashlib.sha256(wheel.read_bytes()).hexdigest()):
        assert not (tmp_path / "tools").exists()
        locked.write_text(f"uv==0.0.1 --hash=sha256:{digest}\n")
        done = _run(install, variables)
    assert done.returncode == 0
    assert any((tmp_path / "tools").rglob("site-packages/uv.py"))


def test_the_advice_does_not_repeat_the_password_of_a_proxy() -> None:
    said = advice("tunnel error: unsuccessful", {"HTTPS_PROXY": "http://ann:s3cret@proxy.example:3128"})
    assert "s3cret" not in said
    assert "Set now: HTTPS_PROXY=http://***@proxy.example:3128." in said


def test_the_advice_names_every_variable_of_certificates_when_none_is_set() -> None:
    assert f"None of {', '.join(BUNDLES)} is set." in advice("CERTIFICATE_VERIFY_FAILED", {})
