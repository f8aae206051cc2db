"""Whether a release's model and metrics depend on the day. If not, DVC returns the first day's outputs for ever, and the runs are green."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from retrain.deployment.run_settings import RunSettings
from retrain.inputs import fetch_stages
from retrain.inputs.code_files import is_code
from retrain.inputs.errors import DayIndependentError
from retrain.inputs.reserved_names import of_the_run
from retrain.inputs.stage_graph import StageGraph, touch
from retrain.run.raw_layout import filled
from retrain.work.dvc.declared import Stage
from retrain.work.dvc.description import Description

# The other keys of these files are the same every day.
_KEYS_OF_THE_DAY = ({"partition"}, {"partition", "objects"})  # of run.yaml and of manifest.json
_TWO_DAYS = ("2020-01-02", "2020-01-03")  # of one month: a param that is the month alone is the same on most days
_NAMED = 5


@dataclass(frozen=True)
class Target:
    """An outcome that has to depend on the day: what it is, its path, and the stages that make it."""

    what: str
    path: str
    makers: frozenset[str]


@dataclass(frozen=True)
class DayDependence:
    """A described checkout, with the keys of the pipeline's file that bring the day into it.

    `of_the_run` are the paths of `run.yaml` and `manifest.json`.

    `fetch` and `static` are the stages that these keys name, by address. `files_in` gives the files of the checkout at or below a
    path; none if nothing is there.
    """

    described: Description
    graph: StageGraph
    inputs: tuple[str, ...]
    params: Mapping[str, Collection[str]]
    fetch: frozenset[str]
    static: frozenset[str]
    files_in: Callable[[str], Iterable[str]]
    of_the_run: tuple[str, str]

    @classmethod
    def of(
        cls,
        described: Description,
        settings: RunSettings,
        static: Iterable[str],
        files_in: Callable[[str], Iterable[str]],
        place: str = ".",
    ) -> DayDependence:
        """The dependence of a checkout on the day. `place` is where `repository.folder` is below the top of the DVC project.

        Raises:
            FetchStageError: `fetch` or `static` names a stage that the release does not have, or `fetch` one that cannot be kept.
        """
        graph = StageGraph.of(described)
        params: dict[str, set[str]] = {}
        for file, keys in settings.params.items():
            params.setdefault(posixpath.normpath(file), set()).update(_dated(keys))
        inputs = tuple(posixpath.normpath(each.path) for each in settings.inputs)
        fetch, fixed = fetch_stages.named(graph, settings.fetch), graph.named(static, "static")
        return cls(described, graph, inputs, params, fetch, fixed, files_in, of_the_run(place))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files and folders that differ from day to day."""
        return (*self.of_the_run, *self.inputs, *(file for file, keys in self.params.items() if keys))

    def is_direct(self, stage: Stage) -> bool:
        """True if a stage reads something of the day itself, or fetches it."""
        if stage.frozen:
            return False
        return (
            stage.name in self.fetch
            or any(touch(dep, path) for dep in stage.deps for path in self.paths)
            or any(self._reads_the_day(file, keys) for file, keys in stage.params.items())
            or any(self._reads_the_day(file, keys) for file, keys in stage.templates.items())
        )

    def _reads_the_day(self, file: str, keys: Collection[str]) -> bool:
        if file in self.of_the_run:  # before a run the file is not there, and no key is known
            return not keys or not _KEYS_OF_THE_DAY[self.of_the_run.index(file)].isdisjoint(keys)
        if any(touch(file, path) for path in self.inputs):
            return True
        return any(_same_or_around(key, wanted) for key in keys for wanted in self.params.get(file, ()))

    @cached_property
    def dependent(self) -> frozenset[str]:
        """The stages that depend on the day, directly or through others."""
        direct = {name for name, stage in self.graph.stages.items() if self.is_direct(stage)}
        return frozenset(name for name in self.graph.stages if not direct.isdisjoint(self.graph.with_needed([name])))

    def targets(self) -> list[Target]:
        """The models that stages make; without one, the metrics; without these, the outputs that no stage reads."""
        models = self._made("model", self.described.models)
        metrics = [] if models else self._made("metrics file", self.described.metrics)
        return models or metrics or list(self._final())

    def _made(self, what: str, paths: Iterable[str]) -> list[Target]:
        made = (Target(what, path, self.graph.makers([path])) for path in paths)
        return [target for target in made if target.makers]

    def _final(self) -> Iterator[Target]:
        read = {name for needed in self.graph.needs.values() for name in needed}
        for name, stage in self.graph.stages.items():
            if name not in read:
                yield from (Target("output", out.path, frozenset([name])) for out in stage.outs)

    def stale(self) -> list[Target]:
        """The targets that no stage brings the day into, but for those that are meant to be the same every day."""
        wanted = (target for target in self.targets() if not target.makers <= self.static)
        return [target for target in wanted if target.makers.isdisjoint(self.dependent)]

    def sources(self) -> list[Stage]:
        """The stages on the way to the targets that make data out of code and params alone, none of which is of the day."""
        wanted = [maker for target in self.targets() for maker in target.makers - self.static]
        found = (self.graph.stages[name] for name in sorted(self.graph.with_needed(wanted)))
        return [stage for stage in found if self._makes_data_from_nothing(stage)]

    def _makes_data_from_nothing(self, stage: Stage) -> bool:
        if stage.frozen or stage.name in self.static or self.is_direct(stage) or self.graph.needs[stage.name]:
            return False
        return not any(self._is_committed_data(dep) for dep in stage.deps)

    def _is_committed_data(self, dep: str) -> bool:
        if "://" in dep:
            return False
        if any(touch(dep, out.path) for tracked in self.described.tracked for out in tracked.outs):
            return True
        files = list(self.files_in(dep))
        return not files or not all(map(is_code, files))  # of a dependency that is not there DVC complains itself


def require(day: DayDependence, release: str) -> None:
    """Make sure that the model depends on the day, or else the metrics, or else the last outputs. `release` names it in an error.

    Raises:
        DayIndependentError: it does not, or a stage on the way there would give the first day's data for ever.
    """
    stale, sources = day.stale(), day.sources()
    if stale:
        makers = sorted({name for target in stale for name in day.graph.with_needed(target.makers)})
        what = f"{stale[0].what} {stale[0].path}" + (f" (and {len(stale) - 1} more)" if len(stale) > 1 else "")
        raise DayIndependentError(
            f"The {what} of {release} would be the same every day: no stage behind it ({_names(makers)}) depends on the day, "
            f"so DVC would return the first day's outputs for ever. {_FIXES}"
        )
    again = [stage.name for stage in sources if _runs_each_time(stage)]
    once = [stage.name for stage in sources if not _runs_each_time(stage)]
    if once:
        raise DayIndependentError(
            f"{_named(once)} of {release} would give the same data every day: it depends on code and params only, so DVC runs it once "
            f"and returns the first day's outputs for ever. {_FIXES}"
        )
    if again:
        raise DayIndependentError(
            f"{_named(again)} of {release} makes data that no input of the day determines: DVC runs it at every attempt, so a retry of "
            f"a day could get other data than the first attempt. {_FIXES}"
        )


_FIXES = (
    "In the pipeline's file name the path that the stages read under inputs, or the param that is the date under params "
    '("{partition}"), or a stage that fetches its own data under fetch, or one whose outputs are meant to be the same every day '
    "under static."
)


def _runs_each_time(stage: Stage) -> bool:
    """True if DVC never takes the stage from its run cache."""
    return stage.always_changed or not (stage.deps or stage.params) or any("://" in dep for dep in stage.deps)


def _named(names: list[str]) -> str:
    return f"{'Stage' if len(names) == 1 else 'Each of the stages'} {_names(names)}"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _dated(keys: Mapping[str, object]) -> Iterator[str]:
    """The keys whose value is another one on the next day."""
    for key, value in keys.items():
        if isinstance(value, str) and len({filled(value, day) for day in _TWO_DAYS}) > 1:
            yield key


def _same_or_around(key: str, other: str) -> bool:
    """True if two keys are the same, or one is a section that the other is in."""
    return key == other or key.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{key}.", f"{key}["))
