"""What is told of a failed uv. The outputs are uv's own."""

from __future__ import annotations

import pytest

from retrain.errors import DiskFullError, EnvironmentBuildError, EnvironmentDefinitionError
from retrain.work.environments import uv
from retrain.work.process import Finished

TRACEBACK = """\
Resolved 3 packages in 5ms
error: Failed to build `sd==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         Traceback (most recent call last):
           File "setup.py", line 1, in <module>
         KeyError: 'CC'

         During handling of the above exception, another exception occurred:

         Traceback (most recent call last):
           File "<string>", line 14, in <module>
             self.run_setup()
             ^^^^^^^^^^^^^^^^
         ModuleNotFoundError: No module named 'compiler'

hint: This error likely indicates that `sd@1.0` depends on `compiler`, but doesn't declare it.
"""
NO_SOLUTION = """\
error: No solution found when resolving dependencies
  cause: Because only demo==1.0 is available and other depends on demo>1, we can conclude that all versions of other cannot be used.
         And because you require other, we can conclude that your requirements are unsatisfiable.

hint: ask for less
"""
BOXED = """\
  \u00d7 No solution found when resolving dependencies:
  \u2570\u2500\u25b6 Because there is no version of six==0.0 and you require six==0.0, we can
      conclude that your requirements are unsatisfiable.
"""
GIT = """\
   Updating https://example.com/six (0123)
error: Failed to download and build `six @ git+https://example.com/six@0123`
  cause: Git operation failed
  cause: process didn't exit successfully: `git fetch` (exit status: 128)
         --- stderr
         fatal: unable to access 'https://example.com/six/': Could not resolve host: example.com
"""


def ended(output, returncode=1, timed_out=False):
    return Finished(("uv",), returncode, output, 1.0, timed_out)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        pytest.param(
            TRACEBACK,
            "Failed to build `sd==1.0`: The build backend returned an error: Call to `setuptools.build_meta.get_requires_for_build_wheel` "
            "failed (exit status: 1): ModuleNotFoundError: No module named 'compiler'.",
            id="the exception of the last traceback",
        ),
        pytest.param(
            NO_SOLUTION,
            "No solution found when resolving dependencies: Because only demo==1.0 is available and other depends on demo>1, we can conclude "
            "that all versions of other cannot be used. And because you require other, we can conclude that your requirements are unsatisfiable.",
            id="a sentence over several lines",
        ),
        pytest.param(
            BOXED,
            "No solution found when resolving dependencies: Because there is no version of six==0.0 and you require six==0.0, we can "
            "conclude that your requirements are unsatisfiable.",
            id="with boxes",
        ),
        pytest.param("Killed\n", "Killed.", id="no error of uv's"),
        pytest.param("", "uv ended with 1 and no output.", id="no output"),
    ],
)
def test_the_evidence_is_uv_s_own_error_with_its_causes(output, said):
    assert uv.evidence(ended(output)) == said


def test_the_evidence_is_bounded():
    assert len(uv.evidence(ended("error: " + "x" * 5000))) < 700


@pytest.mark.parametrize(
    ("done", "kind"),
    [
        pytest.param(ended(TRACEBACK), EnvironmentDefinitionError, id="a build that fails"),
        pytest.param(ended(GIT), EnvironmentBuildError, id="no name service"),
        pytest.param(
            ended("error: Failed to fetch: https://x/simple/\n  cause: HTTP status server error (503 Busy)"),
            EnvironmentBuildError,
            id="a busy index",
        ),
        pytest.param(
            ended("error: no access\n  cause: HTTP status client error (401 Unauthorized)"),
            EnvironmentBuildError,
            id="no access to the index",
        ),
        pytest.param(ended("", -9), EnvironmentBuildError, id="killed"),
        pytest.param(ended("error: x", 1, timed_out=True), EnvironmentBuildError, id="out of time"),
        pytest.param(ended("error: x\n  cause: No space left on device (os error 28)"), DiskFullError, id="disk"),
    ],
)
def test_a_failure_is_told_by_whose_it_is(done, kind):
    assert type(uv.failure(done, "Not installed", "Fix it.")) is kind


@pytest.mark.parametrize(
    ("output", "package"),
    [
        pytest.param(
            "error: No solution\n  cause: Because there is no version of demo==1.0 and you require demo==1.0,",
            "demo==1.0",
            id="no such version",
        ),
        pytest.param(
            "error: No solution\n  cause: Because demo was not found in the package registry and you require demo==1.0,",
            "demo==1.0",
            id="no such package",
        ),
        pytest.param(
            "error: Failed to download `demo==1.0`\n  cause: HTTP status client error (404 Not Found) for url (https://x/d.whl)",
            "demo==1.0",
            id="no such file",
        ),
        pytest.param(
            "error: Failed to download and build `lib @ git+https://x/lib@0123`\n  cause: fatal: remote error: upload-pack: not our ref 0123",
            "lib @ git+https://x/lib@0123",
            id="no such commit",
        ),
    ],
)
def test_a_package_that_is_gone_is_named_as_it_was_frozen(output, package):
    gone = uv.gone(ended(output), ["Demo_other==2.0", "demo==1.0", "lib @ git+https://x/lib@0123"])
    assert gone is not None
    assert gone.package == package


@pytest.mark.parametrize(
    "done",
    [
        pytest.param(ended(GIT), id="no name service"),
        pytest.param(ended(TRACEBACK), id="a build that fails"),
        pytest.param(
            ended(
                "error: No solution\n  cause: there is no version of demo==1.0\nhint: An index URL could not be queried (403 Forbidden)."
            ),
            id="no access to the index",
        ),
        pytest.param(ended("there is no version of demo==1.0", -15), id="killed"),
    ],
)
def test_another_failure_does_not_say_that_a_package_is_gone(done):
    assert uv.gone(done, ["demo==1.0"]) is None
