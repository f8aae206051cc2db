"""The pipelines' files and the silences, as the watch last read them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import date

from retrain.alerts import silences
from retrain.alerts.incident import Incident
from retrain.alerts.silences import Silences
from retrain.alerts.watch.settings import WatchSettings
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import RetrainError

log = logging.getLogger(__name__)


@dataclass
class Configuration:
    """`broken` says by pipeline why its file cannot be read. Such a pipeline keeps the configuration that was read last."""

    settings: WatchSettings
    deployments: dict[str, Deployment] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences)

    def read(self) -> None:
        """Read all files again. One that cannot be read affects its own pipeline only, or the silences."""
        found: dict[str, Deployment] = {}
        broken: dict[str, str] = {}
        for path in sorted(self.settings.pipelines.glob("*.yaml")):
            try:
                found[path.stem] = load(path)
            except Exception as error:
                broken[path.stem] = str(error) if isinstance(error, RetrainError) else f"{path.name}: {error!r}"
                if path.stem not in self.broken:
                    log.exception("%s cannot be read", path)
                if path.stem in self.deployments:
                    found[path.stem] = self.deployments[path.stem]
        self.deployments, self.broken = found, broken
        self._read_silences()

    def channel(self, pipeline: str) -> str | None:
        """The channel of a pipeline's incidents. Where no such pipeline is configured: the default, or the first pipeline's."""
        deployment = self.deployments.get(pipeline)
        if deployment is not None:
            return deployment.slack.channel
        return self.settings.channel or next((d.slack.channel for d in self.deployments.values()), None)

    def channels(self) -> list[str]:
        """Every channel that a message may go to."""
        return sorted({d.slack.channel for d in self.deployments.values()} or {self.settings.channel or ""} - {""})

    def is_silenced(self, incident: Incident, day: date) -> bool:
        return silences.silenced(self.silences.entries, incident, day) is not None

    def _read_silences(self) -> None:
        path = self.settings.silences
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            said = f"{path.name} cannot be read ({error}): the silences stay as they were."
            self.silences = replace(self.silences, invalid=(said,))
            return
        self.silences = silences.read(text, path.name)
