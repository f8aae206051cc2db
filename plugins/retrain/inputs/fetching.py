"""Reproduces a checkout whose stages fetch their own data: those run once for a run key, and every later attempt takes their outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from retrain.errors import GoneError
from retrain.inputs import fetch_stages
from retrain.inputs.fetched_outputs import FetchedOutputs, same_outputs
from retrain.inputs.fetched_stage import FetchedStage
from retrain.inputs.stage_graph import StageGraph, group_of
from retrain.work.dvc.description import Description
from retrain.work.dvc.held_stages import HeldStages
from retrain.work.dvc.outputs import Output
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.progress import FinishedRepro
from retrain.work.dvc.reproduction import Reproduction

log = logging.getLogger(__name__)


def reproduce(
    dvc: Dvc,
    described: Description,
    fetch: Iterable[str],
    timeout: float,
    kept: FetchedOutputs | None,
    *,
    again: bool = True,
) -> FinishedRepro:
    """Run the stages of a checkout. Those in `fetch` run now only if no earlier attempt of the run has fetched their data.

    Args:
        dvc: DVC in the checkout.
        described: the checkout as DVC describes it.
        fetch: the names of the stages that fetch their own data, as in the pipeline's file.
        timeout: seconds for all calls of `dvc repro` together.
        kept: what earlier attempts fetched. None for a run that keeps nothing: then the stages always fetch.
        again: False for a past day, whose data cannot be fetched any more.

    Raises:
        FetchStageError: `fetch` names no stage of the release, or one whose outputs cannot be kept.
        GoneError: objects that an earlier attempt fetched are gone; or with `again` False, nothing is known about a stage.
        RetrainError: a stage failed; or as for `FetchedOutputs`.
    """
    graph = StageGraph.of(described)
    stages = fetch_stages.named(graph, fetch)
    reproduction = dvc.reproduction(described, timeout)
    if not stages:
        reproduction.run()
        return reproduction.finished()
    fetching = _Fetching(dvc, graph, stages, reproduction, kept)
    fetching.take()
    if fetching.left and not again:
        raise GoneError(
            f"The ledger does not say what {', '.join(sorted(fetching.left))} fetched for this run, and a past day cannot be fetched again. "
            "make restore brings back the outputs that were recorded."
        )
    while fetching.left:
        fetching.fetch()
    return fetching.finish()


@dataclass
class _Fetching:
    """One attempt. `stages` fetch their own data; `done` are those whose outputs are in the checkout, and all that is held with them."""

    dvc: Dvc
    graph: StageGraph
    stages: frozenset[str]
    reproduction: Reproduction
    kept: FetchedOutputs | None
    done: set[str] = field(default_factory=set)
    held: HeldStages = field(init=False)

    def __post_init__(self) -> None:
        self.held = HeldStages(self.dvc)

    @property
    def left(self) -> frozenset[str]:
        """The stages whose data still has to be fetched."""
        return self.stages - self.done

    def take(self) -> None:
        """Take what earlier attempts have fetched.

        Of a group that was kept in part all items are fetched again: they are frozen together, and DVC runs no frozen stage. What
        was kept of it is taken then.
        """
        known = self.kept.known() if self.kept else {}
        found = {name: known[name] for name in self.stages if self._group(name) <= known.keys()}
        if found:
            self._put(found)
            for name, fetched in found.items():
                log.info("stage %s is not run: its data was fetched at %s", name, fetched.fetched_at)

    def _put(self, found: dict[str, FetchedStage]) -> None:
        """Put fetched outputs into the checkout."""
        if self.kept:
            self.kept.bring(found.values(), self.dvc.cache)
        self.held.hold(found, {name: fetched.entry for name, fetched in found.items()})
        self.done |= found.keys()

    def fetch(self) -> None:
        """Fetch the data of those stages that need no other stage of `left`, after the stages that they need."""
        ready = {name for name in self.left if not self.left & (self.graph.with_needed([name]) - {name})}
        needed = self.graph.with_needed(ready) - ready - self.done
        if needed:
            self.reproduction.run(sorted(needed))
        self.reproduction.force(sorted(ready))
        self.done |= needed | ready
        # What they need is held too: run again, it could become other data than the data that the fetched belongs to.
        whole = {name for name in needed if self._group(name) <= self.done and not self.graph.stages[name].frozen}
        entries = self.held.hold({*ready, *whole}, {})
        if self.kept:
            self._keep(self.kept, {name: entries[name] for name in sorted(ready)})

    def _group(self, name: str) -> set[str]:
        return {each for each in self.graph.stages if group_of(each) == group_of(name)}

    def _keep(self, kept: FetchedOutputs, entries: dict[str, str]) -> None:
        outputs = [
            Output.of_stage(stage, out)
            for stage in self.dvc.describe().stages
            if stage.name in entries
            for out in stage.outs
        ]
        found = kept.keep(entries, outputs, self.dvc.cache)
        others = {name: fetched for name, fetched in found.items() if not same_outputs(fetched, entries, outputs)}
        if others:
            log.warning("another attempt has fetched %s before this one: its data is taken", ", ".join(others))
            self._put(others)

    def finish(self) -> FinishedRepro:
        """Run all other stages."""
        targets = self.reproduction.targets or ("dvc.yaml",)
        # DVC does not follow the dependencies of a held stage, which lead to stages that are no targets themselves.
        needed = sorted(self.graph.with_needed(self.stages))
        elsewhere = [name for name in needed if self.graph.stages[name].file not in targets]
        self.reproduction.run([*targets, *elsewhere])
        # Sorted, because the order in which an attempt ran them must not show in its bytes.
        self.held.release({stage.file for stage in self.graph.stages.values()})
        return self.reproduction.finished()
