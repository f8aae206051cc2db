"""The messages in Slack, made from an incident alone: an unchanged incident gives an unchanged message.

Line 1 fits a lock screen, line 2 is the impact, then cause and evidence, values with their limits, the next action, links.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from retrain.alerts.facts import MetInBackfillFacts, no_facts, of_kind
from retrain.alerts.incident import Entry, Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.message.clock import between, shown, span
from retrain.alerts.message.details import Blocks, details
from retrain.alerts.message.headline import headline
from retrain.alerts.message.impact import end, impact, standing
from retrain.alerts.message.mrkdwn import block, code, context, cut, link, phrased, section, segment, within_limits
from retrain.alerts.message.next_action import listed, next_action, rerun
from retrain.alerts.message.trouble import Trouble, newest
from retrain.alerts.signal import Step

_NOTIFICATION = 600
_DONE = "✅"


@dataclass(frozen=True)
class Message:
    """`text` is what a lock screen shows; `blocks` is what the channel shows, in Slack's Block Kit."""

    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class PageAddresses:
    """The base URLs of the pages that messages link to."""

    airflow: str
    mlflow: str
    runbooks: str


def top(incident: Incident, addresses: PageAddresses) -> Message:
    """The incident's message in the channel, as it should be now."""
    trouble = newest(incident)
    return _open(incident, trouble, addresses) if incident.open else _resolved(incident, trouble, addresses)


def line(incident: Incident) -> str:
    """The incident in one line of a list, markup included."""
    trouble = newest(incident)
    return f"{trouble.mark if incident.open else _DONE} {headline(trouble)}"


def reply(incident: Incident, entry: Entry, addresses: PageAddresses) -> Message:
    """A line of the incident's thread, with all details. It depends on the entry and the incident's key alone."""
    key = incident.key
    if entry.step is Step.GOOD:
        return _end(Trouble(key, of_kind(key.kind, entry.facts), incident.task, entry.partition), entry, addresses)
    if key.kind is Kind.BACKFILL:
        met = MetInBackfillFacts.read(entry.facts).kind
        key = replace(key, kind=met or Kind.TASK_FAILED, subject="")
    trouble = Trouble(key, of_kind(key.kind, entry.facts), incident.task, entry.partition)
    first = headline(trouble, of_pipeline=False)
    return _message(
        f"{trouble.mark} {first}",
        "",
        [
            *section(f"{trouble.mark} *{first}*\n{shown(entry.at)}"),
            *details(trouble, whole=True),
            # In other threads the message above says it, for the newest trouble.
            *(_next(trouble) if incident.key.kind is Kind.BACKFILL else []),
            *section(links(trouble, addresses, runbook=incident.key.kind is Kind.BACKFILL)),
        ],
    )


def _end(ended: Trouble, entry: Entry, addresses: PageAddresses) -> Message:
    said = end(ended)
    run = f" · run {code(ended.run.dag_run, 100)}" if ended.run.dag_run else ""
    blocks = [
        *section(f"{_DONE} *{said}*\n{shown(entry.at)}{run}"),
        *section(links(ended, addresses, runbook=False)),
    ]
    return _message(f"{_DONE} {said}", "", blocks)


def _open(incident: Incident, trouble: Trouble, addresses: PageAddresses) -> Message:
    first, missing = headline(trouble), impact(trouble)
    consumers = "" if incident.key.kind is Kind.BACKFILL else standing(trouble, incident.situation)
    blocks = [
        *section(f"{trouble.mark} *{first}*"),
        *section("\n".join(part for part in (missing, consumers) if part)),
        *details(trouble, whole=False),
        *_next(trouble),
        *missing_days(incident, trouble),
        *section(links(trouble, addresses)),
        *context(_since(incident)),
    ]
    return _message(f"{trouble.mark} {first}", f"{missing} {consumers}".strip(), blocks)


def _resolved(incident: Incident, trouble: Trouble, addresses: PageAddresses) -> Message:
    """Short: the details are in the thread."""
    counted = incident.key.kind is Kind.BACKFILL
    mark = "⚠️" if counted and incident.missing else _DONE
    first = headline(trouble) if counted else f"Resolved: {headline(replace(trouble, days=1))}"
    over = ended_by(incident, trouble)
    ended, dag_run = end(over), over.run.dag_run
    run = f" (run {code(dag_run, 100)})" if dag_run else ""
    # The data came after the run had stopped waiting for it: a person has to start that run again.
    gave_up = incident.key.kind is Kind.DATA_LATE and trouble.failure is not None and not run
    lasted = between(incident.opened_at, incident.resolved_at) or "a time not known"
    summary = f"{ended}{run}. Lasted {lasted}, {span(incident.opened_at, incident.resolved_at)}."
    blocks = [
        *section(f"{mark} *{first}*"),
        *section(summary),
        *(_next(trouble) if gave_up else []),
        *missing_days(incident, trouble),
        *details(trouble, whole=False)[:1],
        *section(links(trouble, addresses)),
    ]
    return _message(f"{mark} {first}", f"{ended}. Lasted {lasted}.", blocks)


def is_final(incident: Incident) -> bool:
    """True if the message cannot change any more: the incident has ended, and no day is left that a rerun may still complete."""
    awaited = incident.missing and (incident.task or incident.key.kind in (Kind.DATA_LATE, Kind.PIPELINE_SILENT))
    return not incident.open and (not awaited or newest(incident).recorded)


def ended_by(incident: Incident, trouble: Trouble) -> Trouble:
    """The end of an incident that has ended: `trouble` with the facts of its end, for the trouble's are not why it ended."""
    # What came after the end makes up for days that it left behind.
    last = next((e for e in reversed(incident.entries) if e.at == incident.resolved_at), None)
    facts = of_kind(incident.key.kind, last.facts if last else no_facts())
    return replace(trouble, partition=last.partition if last else None, facts=facts)


def missing_days(incident: Incident, trouble: Trouble) -> Blocks:
    """The days that are left without a model, and the command that runs them again."""
    days = incident.missing
    if not days or trouble.recorded or (incident.open and len(incident.partitions) <= 1):
        return []
    if incident.open:
        return section(f"*Days without a model:* {listed(days)}")
    timezone = incident.situation.timezone if incident.situation else "UTC"
    commands = "\n".join(rerun(incident.key.pipeline, days, timezone))
    return section(f"*Still without a model: {listed(days)}.* This runs what is missing:\n{block(commands)}")


def _next(trouble: Trouble) -> Blocks:
    return section(f"*Next:* {phrased(next_action(trouble))}")


def _since(incident: Incident) -> str:
    last = incident.troubles[-1].at if incident.troubles else incident.opened_at
    since = [f"Open since {shown(incident.opened_at)}"]
    if shown(last) != shown(incident.opened_at):
        since.append(f"newest {shown(last)}")
    if incident.situation and shown(incident.situation.as_of) != shown(last):
        since.append(f"consumers as of {shown(incident.situation.as_of)}")
    return " · ".join(since)


def links(trouble: Trouble, addresses: PageAddresses, *, runbook: bool = True) -> str:
    """Log, run, MLflow run and runbook, as far as they are known: links, separated by ` · `."""
    about, dag = trouble.run, addresses.airflow.rstrip("/")
    if not trouble.airflow_itself:
        dag += f"/dags/{segment(trouble.key.pipeline)}"
    run = f"{dag}/runs/{segment(about.dag_run)}" if about.dag_run else dag
    offered: Iterable[str] = (
        link("Log", about.log_url),
        link("Airflow run" if about.dag_run else "Airflow", run),
        link("MLflow run", about.mlflow_url),
        link("Runbook", f"{addresses.runbooks.rstrip('/')}/{trouble.kind}") if runbook else "",
    )
    return " · ".join(part for part in offered if part)


def _message(headline: str, impact: str, blocks: Blocks) -> Message:
    return Message(cut(f"{headline}\n{impact}".strip(), _NOTIFICATION), within_limits(blocks))
