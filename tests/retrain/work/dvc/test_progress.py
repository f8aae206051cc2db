import os
import subprocess
import sys

from retrain.run.stage_run import StageOutcome
from retrain.work.dvc.progress import FinishedRepro, ReproProgress


def test_stages_are_known_by_dvcs_own_lines_in_their_order() -> None:
    progress = ReproProgress()
    for line in (
        "Stage 'ingest' is cached - skipping run, checking out outputs",
        "Running stage 'train':",
        "> python train.py",
        "what the stage prints, such as: Running stage 'another'",
        "Stage 'report' didn't change, skipping",
    ):
        progress.see(line)
    progress.end_stage()
    done = FinishedRepro(progress.stages(), 1.0)
    assert (done.executed, done.cached) == (("train",), ("ingest", "report"))
    assert len(progress.lines) == 3
    assert all(stage.seconds >= 0 for stage in done.stages)


def test_memory_counts_for_the_stage_that_runs_and_for_none_from_the_cache() -> None:
    progress = ReproProgress()
    waits = "print('up', flush=True); import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        progress.sample(os.getpid())  # no stage runs yet
        progress.see("Stage 'ingest' is cached - skipping run, checking out outputs")
        progress.sample(os.getpid())
        progress.see("Running stage 'train':")
        progress.sample(os.getpid())
        child.communicate()
    cached, ran = progress.stages()
    assert (cached.name, cached.outcome, cached.peak_memory) == ("ingest", StageOutcome.CACHED, 0)
    assert (ran.name, ran.outcome) == ("train", StageOutcome.RAN)
    assert ran.peak_memory > 0


def test_a_stage_that_ran_in_an_earlier_call_stays_one_that_ran() -> None:
    progress = ReproProgress()
    for line in ("Running stage 'download':", "Stage 'download' didn't change, skipping", "Running stage 'fit':"):
        progress.see(line)
    progress.end_stage()
    assert [(stage.name, stage.outcome) for stage in progress.stages()] == [
        ("download", StageOutcome.RAN),
        ("fit", StageOutcome.RAN),
    ]
