"""One instance in text: what it is, what it waits for, what took time, what happened, and its tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from ..client import Client, ExecutionInfo, InstanceInfo, InstanceTree
from ..client.spans import Span, spans_of
from ..client.surveying import Bounds
from ..client.viewing import ViewingClient
from ..client.waiting import Waiting, waiting_for
from ..engine.errors import DurableError
from ..engine.events import HistoryEvent
from ..engine.failures import Failure
from ..engine.states import TERMINAL
from . import bars, rendering
from .rendering import Cell, ago, duration, moment, one_line, printable

BOUNDS = Bounds(events=1, rows=200, characters=1, characters_per_row=200)
EVENTS_AT_ONCE = 500
PAYLOAD_WIDTH = 60
DETAIL_WIDTH = 200
SHOWN_WAITS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was read of an instance. `execution` is the one to show, `waits` are those of the current one."""

    info: InstanceInfo
    execution: ExecutionInfo
    waits: list[Waiting]
    spans: list[Span]
    first_seq: int
    read_at: datetime


def read(client: ViewingClient, instance_id: str, number: int | None = None) -> View:
    """Read an instance. Raises: InstanceNotFound. InvalidArgument: it has no such execution."""
    info = client.get_instance_info(instance_id)
    execution = client.get_execution_info(instance_id, number or info.execution_number)
    survey = client.survey_instance(info.id, execution=execution.number, bounds=BOUNDS, instance_id=instance_id)
    spans, waits = spans_of(survey.outline, survey.read_at)
    waiting = info.runtime_status not in TERMINAL and execution.number == info.execution_number
    return View(
        info=info,
        execution=execution,
        waits=list(waiting_for(survey, waits)) if waiting else [],
        spans=spans,
        first_seq=survey.outline[0].seq if survey.outline else 1,
        read_at=survey.read_at,
    )


class Writer:
    """Writes views. Payloads are cut to a line unless `full`."""

    def __init__(self, out: OutputWrapper, style: Any, *, full: bool, width: int = DETAIL_WIDTH) -> None:
        self._out = out
        self._style = style
        self._full = full
        self._width = width

    def view(self, view: View) -> None:
        """Write what an instance is, what it waits for and what took time."""
        rendering.pairs(self._out, self._facts(view), self._style)
        self._failure("Blocked", view.info.blocked_reason)
        self._failure("Error", view.execution.failure)
        if view.waits:
            self._heading("Waits for")
            for wait in view.waits[:SHOWN_WAITS]:
                self._out.write(f"  {_wait(wait, view.read_at)}")
            if len(view.waits) > SHOWN_WAITS:
                self._out.write(f"  and {len(view.waits) - SHOWN_WAITS:,} more")
        self._timeline(view)

    def _facts(self, view: View) -> Iterator[tuple[str, Cell]]:
        info, execution = view.info, view.execution
        status = info.runtime_status
        yield "Instance", printable(info.instance_id)
        yield "Orchestration", f"{printable(info.orchestration)} {info.version}"
        yield "Status", (status.value, rendering.tone_of(status, self._style))
        if info.execution_number > 1:
            shown = "" if execution.number == info.execution_number else f", shown is {execution.number}"
            yield "Execution", f"{info.execution_number}{shown}"
        yield "Created", f"{moment(info.created_at)}  ({ago(info.created_at, view.read_at)})"
        if info.started_at:
            yield "Started", f"{moment(info.started_at)}  (after {duration(info.started_at - info.created_at)})"
        if info.completed_at:
            took = duration(info.completed_at - (info.started_at or info.created_at))
            yield "Ended", f"{moment(info.completed_at)}  (took {took})"
        else:
            yield "Changed", f"{moment(info.updated_at)}  ({ago(info.updated_at, view.read_at)})"
        if info.parent_instance_id:
            yield "Parent", printable(info.parent_instance_id)
        if info.worker_id:
            yield "Worker", printable(info.worker_id)
        yield "Events", f"{execution.event_count:,}"
        if info.custom_status is not None:
            yield "Custom status", self._payload(info.custom_status)
        yield "Input", self._payload(execution.input)
        if execution.output is not None:
            yield "Output", self._payload(execution.output)

    def _payload(self, payload: str) -> str:
        if not self._full:
            return one_line(payload, self._width)
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
        return "\n".join(printable(line) for line in text.splitlines())

    def _failure(self, title: str, failure: Failure | None) -> None:
        if failure is None:
            return
        self._heading(title)
        lines = str(failure).splitlines()
        if self._full and failure.traceback:
            lines = failure.traceback.splitlines()
        for line in lines if self._full else [one_line(" ".join(lines), self._width * 3)]:
            self._out.write(f"  {self._style.ERROR(printable(line))}")

    def _timeline(self, view: View) -> None:
        if not view.spans:
            return
        self._heading("Timeline")
        execution = view.execution
        started_at = view.spans[0].start if view.first_seq > 1 else execution.started_at
        rows = list(bars.rows_of(view.spans, started_at, execution.completed_at or view.read_at))
        wide = max(len(name) for _, name, _, _ in rows)
        for kind, name, bar, said in rows:
            self._out.write(f"  {kind:<8}  {name:<{wide}}  [{bar}]  {said}" if bar else f"  {name}")
        if view.first_seq > 1:
            self._out.write(f"  What happened before event {view.first_seq:,} is not drawn.")

    def _heading(self, text: str) -> None:
        self._out.write()
        self._out.write(self._style.MIGRATE_HEADING(text))

    def history(self, events: Iterable[HistoryEvent]) -> None:
        """Write a history as it comes."""
        self._heading("History")
        names: dict[int, str] = {}
        previous: datetime | None = None
        titles = (">", "RECORDED", ">AFTER", "KIND", "NAME", ">OF", "PAYLOAD")
        with rendering.table(self._out, titles, self._style) as table:
            for event in events:
                kind, name, source, payload, data = event.fact.columns()
                if name is not None:
                    names[event.seq] = name
                shown = name or names.get(source or 0, "")
                gap = event.recorded_at - (previous or event.recorded_at)
                after = f"+{duration(gap)}" if gap else ""
                previous = event.recorded_at
                text = " ".join(each for each in (payload, data) if each)
                table.add(
                    str(event.seq),
                    moment(event.recorded_at),
                    after,
                    (kind, self._tone(kind)),
                    printable(shown),
                    "" if source is None else str(source),
                    one_line(text, None if self._full else PAYLOAD_WIDTH) if text else "",
                )

    def _tone(self, kind: str) -> rendering.Tone:
        bad: rendering.Tone = self._style.ERROR
        good: rendering.Tone = self._style.SUCCESS
        if kind.endswith(("Failed", "Terminated")):
            return bad
        return good if kind.endswith("Completed") else rendering.plain

    def tree(self, tree: InstanceTree) -> None:
        """Write an instance and its descendants, indented."""
        self._heading("Tree")
        depths: dict[str, int] = {}
        with rendering.table(self._out, ("INSTANCE", "ORCHESTRATION", "STATUS"), self._style) as table:
            for node in tree.nodes:
                depth = depths.get(node.parent_instance_id or "", -1) + 1
                depths[node.instance_id] = depth
                status = node.runtime_status
                table.add(
                    "  " * depth + printable(node.instance_id),
                    printable(node.orchestration),
                    (status.value, rendering.tone_of(status, self._style)),
                )


def events_of(client: Client, instance_id: str, number: int) -> Iterator[HistoryEvent]:
    """Yield the events of one execution, read some at a time. Raises: CommandError: one of them cannot be read."""
    after = 0
    while True:
        try:
            events = client.read_execution_history(instance_id, number, after=after, limit=EVENTS_AT_ONCE)
        except DurableError:
            raise
        except ValueError as error:
            raise CommandError(f"The history of {instance_id!r} is damaged: {error}") from error
        yield from events
        if len(events) < EVENTS_AT_ONCE:
            return
        after = events[-1].seq


def _wait(wait: Waiting, now: datetime) -> str:
    parts = [wait.kind, printable(wait.child or wait.name)]
    if wait.child:
        parts.append(f"({printable(wait.name)})")
    said = []
    if wait.kind == "activity":
        said += list(_activity(wait, now))
    elif wait.due is not None:
        said.append(f"due {ago(wait.due, now)}, {moment(wait.due)}")
    if wait.since is not None:
        said.append(f"since {duration(now - wait.since)}")
    return f"{' '.join(part for part in parts if part)}  {', '.join(said)}"


def _activity(wait: Waiting, now: datetime) -> Iterator[str]:
    yield f"attempt {wait.attempt}"
    match wait.progress:
        case "running":
            yield f"running on {printable(wait.worker_id or '')}"
        case "lost":
            yield f"the lease of {printable(wait.worker_id or '')} ran out"
        case "retrying" if wait.due is not None:
            yield f"next try {ago(wait.due, now)}"
        case _:
            yield "waiting for a worker"
    if wait.tag:
        yield f"tag {printable(wait.tag)}"
    if wait.session_id:
        yield f"session {printable(wait.session_id)}"
    if wait.failures:
        last = wait.failures[-1]
        yield one_line(f"failed with {last.get('error_type')}: {last.get('message')}", DETAIL_WIDTH)
