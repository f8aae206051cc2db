"""The digest of a tag, asked of the registry itself."""

from __future__ import annotations

import base64
import hashlib
import http.client
import urllib.error
import urllib.request

from host_errors import RegistryError

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_LARGEST = 4 * 1024 * 1024  # bytes of a manifest, the limit of registries


def digest_of(repository: str, tag: str, password: str) -> str:
    """`sha256:…` of the manifest that `repository:tag` names. The user is ECR's, `AWS`; a password of "" asks without a login.

    Raises:
        RegistryError: the registry does not answer, or has no such tag.
    """
    host, _, path = repository.partition("/")
    scheme = "http" if host.partition(":")[0] in ("127.0.0.1", "localhost") else "https"  # as Docker does
    url = f"{scheme}://{host}/v2/{path}/manifests/{tag}"
    request = urllib.request.Request(url, headers={"Accept": _MANIFESTS})  # noqa: S310 - http or https, see above
    if password:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'AWS:{password}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            manifest = answer.read(_LARGEST)
            named = answer.headers.get("Docker-Content-Digest", "")
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:
            raise RegistryError(
                f"{repository} has no tag {tag}. Push the release's images, then run this again."
            ) from error
        raise RegistryError(
            f"{repository}:{tag}: the registry answers {error.code} {error.reason}. Run this again."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise RegistryError(f"{repository}:{tag}: the registry does not answer ({error}). Run this again.") from error
    # The digest of the bytes that were received, whatever the registry says about them.
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if named and named != digest:
        raise RegistryError(f"{repository}:{tag} is {digest}, but the registry calls it {named}. Do not start it.")
    return digest
