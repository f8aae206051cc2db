import re
from textwrap import dedent

import pytest

from retrain.errors import (
    CacheCollisionError,
    Cause,
    DataRefusedError,
    DiskFullError,
    RetrainError,
    StageCodeError,
    StageFailedError,
    StageKilledError,
    StageTimeoutError,
    StageUnavailableError,
)
from retrain.work.dvc.failure import why_failed
from retrain.work.process import Finished


def finished(output: str, *, code: int = 255, timed_out: bool = False) -> Finished:
    return Finished(("dvc", "repro"), code, output, 61.0, timed_out)


def failed(stage: str, code: int, before: str = "") -> Finished:
    """As DVC 3 ends: an earlier stage, the stage with its output, DVC's own line."""
    return finished(
        f"Running stage 'earlier':\n> python e.py\nValueError: not of this stage\nUpdating lock file 'dvc.lock'\n\n"
        f"Running stage '{stage}':\n> python x.py\n{dedent(before).strip(chr(10))}\n"
        f"ERROR: failed to reproduce '{stage}': failed to run: python x.py, exited with {code}"
    )


@pytest.mark.parametrize(
    ("done", "kind", "said"),
    [
        pytest.param(
            failed("prepare", 65, "raw.parquet: column fare is text"),
            DataRefusedError,
            "prepare.*column fare is text",
            id="exit 65",
        ),
        pytest.param(failed("ingest", 75, "S3 is down"), StageUnavailableError, "ingest.*S3 is down", id="exit 75"),
        pytest.param(failed("ingest", 78, "no run.yaml"), StageCodeError, "ingest.*run.yaml", id="exit 78"),
        pytest.param(failed("train", -9), StageKilledError, "train.*signal 9.*memory", id="the kernel's kill"),
        pytest.param(failed("train", 137), StageKilledError, "signal 9", id="a kill behind a shell"),
        pytest.param(
            failed("train", 1, "OSError: [Errno 28] No space left on device"), DiskFullError, "train", id="a full disk"
        ),
        pytest.param(
            finished("Running stage 'a':\nERROR: failed to reproduce 'a': [Errno 28] No space left on device"),
            DiskFullError,
            "Stage a",
            id="a full disk under DVC's own hands",
        ),
        pytest.param(
            finished("Running stage 'train':", code=-15, timed_out=True), StageTimeoutError, "in stage train", id="slow"
        ),
        pytest.param(finished("", code=-15, timed_out=True), StageTimeoutError, "before any stage", id="slow to start"),
        pytest.param(finished("", code=-9), StageKilledError, "^dvc repro was ended by signal 9", id="DVC is killed"),
        pytest.param(
            finished("ERROR: the lock is held"),
            StageFailedError,
            "^dvc repro failed with exit 255: the lock is held$",
            id="DVC's own refusal",
        ),
        pytest.param(
            finished("ERROR: configuration error - config file error: extra keys", code=251),
            StageFailedError,
            "^dvc repro failed with exit 251: configuration error - config file error: extra keys$",
            id="DVC's refusal of its configuration, which is no signal",
        ),
        pytest.param(
            finished("Running stage 'a':\n> x\nERROR: failed to reproduce 'a': output 'm' does not exist"),
            StageFailedError,
            "^Stage a failed: output 'm' does not exist$",
            id="an output that is not there",
        ),
    ],
)
def test_a_failure_is_named_from_its_evidence(done: Finished, kind: type[RetrainError], said: str) -> None:
    failure = why_failed(done)
    assert type(failure) is kind
    assert re.search(said, str(failure))


@pytest.mark.parametrize(
    ("done", "stage", "code"),
    [
        (failed("prepare", 65), "prepare", 65),
        (failed("each@a", 137), "each@a", 137),
        (finished("Running stage 'fit':\n> x", code=-9), "fit", None),
        (finished("ERROR: the lock is held"), None, None),
    ],
)
def test_a_failure_carries_its_stage_and_exit_code(done: Finished, stage: str | None, code: int | None) -> None:
    failure = why_failed(done)
    assert (failure.stage, failure.code) == (stage, code)


TRACEBACK = """
    reading 312 rows
    Traceback (most recent call last):
      File "/w/checkout/x.py", line 7, in <module>
        fit()
        ~~~^^
      File "/w/checkout/x.py", line 3, in fit
        raise ValueError("odd")
"""


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        pytest.param(TRACEBACK + "    ValueError: odd", "ValueError: odd", id="a traceback"),
        pytest.param(TRACEBACK + "    KeyError", "KeyError", id="an exception without a message"),
        pytest.param(
            TRACEBACK
            + "    KeyError: 'fare'\n\n    The above exception was the direct cause of the following exception:\n"
            + TRACEBACK
            + "    pipeline.errors.TableError: no fares",
            "pipeline.errors.TableError: no fares",
            id="chained",
        ),
        pytest.param(
            TRACEBACK
            + "    mlflow.exceptions.MlflowException: The saved model references types that are not trusted: numpy.dtype.\n"
            + "      - a.B\n    Hint: only add the specific types you have reviewed",
            "mlflow.exceptions.MlflowException: The saved model references types that are not trusted: numpy.dtype. - a.B",
            id="a message of several lines, and a hint",
        ),
        pytest.param(
            TRACEBACK + "    ValueError: odd\n\n" + "\n".join(f"    closing file {n}" for n in range(30)),
            "ValueError: odd",
            id="the stage prints on",
        ),
        pytest.param(
            "\x1b[31m" + TRACEBACK.strip() + "\n\x1b[1m    ValueError\x1b[0m: \x1b[35modd\x1b[0m\n\x1b[0m",
            "ValueError: odd",
            id="in colours",
        ),
        pytest.param(
            TRACEBACK + "WARNING: DVC has a newer version\n    ValueError: odd",
            "ValueError: odd",
            id="a line of DVC in between",
        ),
        pytest.param(
            """
              + Exception Group Traceback (most recent call last):
              |   File "/w/x.py", line 1, in <module>
              |     raise ExceptionGroup("two", [ValueError(1)])
              | ExceptionGroup: two (1 sub-exception)
            """,
            "ExceptionGroup: two (1 sub-exception)",
            id="a group",
        ),
        pytest.param(
            "Error: the table is empty\nRun with --verbose for more",
            "Error: the table is empty",
            id="no traceback, but a line that says error",
        ),
        pytest.param(
            "bash: line 1: nowhere: command not found", "bash: line 1: nowhere: command not found", id="the shell"
        ),
        pytest.param("", "no output", id="nothing"),
    ],
)
def test_an_unforeseen_failure_is_told_with_its_exception_and_never_with_a_mere_last_line(
    printed: str, said: str
) -> None:
    failure = why_failed(failed("fit", 1, printed))
    assert type(failure) is StageFailedError
    assert str(failure) == f"Stage fit failed with exit 1: {said}"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        pytest.param("reading\ncolumn fare holds text; land the day again.", "column fare holds text; land the day again.", id="a sentence"),
        pytest.param(TRACEBACK + "    pipeline.errors.RefusedError: column fare holds text", "column fare holds text", id="an exception"),
        pytest.param(
            TRACEBACK + "    RefusedError: column fare\n    holds text\n    Hint: see the guide", "column fare holds text", id="and a hint"
        ),
        pytest.param(
            TRACEBACK
            + "    OSError: tried once\n\n"
            + "\n".join(f"    try {n}" for n in range(9))
            + "\n    no answer after 9 tries.",
            "no answer after 9 tries.",
            id="an exception that was handled before",
        ),
        pytest.param(
            "the day is empty.\n/w/lib.py:3: UserWarning: deprecated\nNote: bye", "the day is empty.", id="warnings"
        ),
        pytest.param("ERROR: the day is empty.", "ERROR: the day is empty.", id="a word that DVC uses too"),
        pytest.param("", "no output", id="nothing"),
    ],
)  # fmt: skip
def test_a_stage_that_gives_its_reason_is_quoted_with_it(printed: str, said: str) -> None:
    assert str(why_failed(failed("prepare", 65, printed))) == f"Stage prepare refused its data: {said}"


@pytest.mark.parametrize(
    "exception",
    ["ModuleNotFoundError: No module named 'x'", "NameError: name 'x' is not defined", "SyntaxError: invalid syntax"],
)
def test_an_exception_that_only_another_code_prevents_asks_for_a_release(exception: str) -> None:
    failure = why_failed(failed("fit", 1, f"{TRACEBACK}    {exception}"))
    assert type(failure) is StageCodeError
    assert str(failure) == f"Stage fit failed: {exception}. Fix it in a new release, or go back: make rollback."


def test_an_import_that_an_earlier_stage_did_without_is_no_evidence() -> None:
    done = failed("fit", 1, TRACEBACK + "    ValueError: odd")
    earlier = done.output.replace("ValueError: not of this stage", "ImportError: no plotting here")
    assert type(why_failed(finished(earlier))) is StageFailedError


def test_a_message_without_an_end_is_cut() -> None:
    assert len(str(why_failed(failed("fit", 1, f"{TRACEBACK}    ValueError: {'x' * 100_000}")))) < 1000


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(
            "[Errno 2] No such file or directory: '/var/lib/retrain/cache/t/environments/e/runs/ab/abc/x7Hk.tmp'",
            id="run cache",
        ),
        pytest.param("unable to remove 'data/parts' without a confirmation. Use `-f` to force.", id="a file"),
    ],
)
def test_two_runs_that_wrote_one_object_at_once_are_told_apart_from_a_stage_that_failed(said: str) -> None:
    error = why_failed(finished(f"Running stage 'split':\n> python s.py\nERROR: failed to reproduce 'split': {said}"))
    assert type(error) is CacheCollisionError
    assert (error.stage, error.code, error.cause) == ("split", None, Cause.INFRA)
    assert str(error).startswith("Stage split failed because another run wrote the same object of the shared cache at")
    assert said.rstrip(".") in str(error)


def test_a_stage_that_prints_the_words_of_such_a_collision_has_failed_by_itself() -> None:
    printed = "unable to remove 'data/parts' without a confirmation"
    assert type(why_failed(failed("fit", 1, f"RuntimeError: {printed}"))) is StageFailedError
