"""One operation on one instance, several or many: which, whether, and what came of each.

Instances are named by their ids, or chosen by a filter; a filter chooses only those in a status that allows the
operation, and has to be confirmed. What is refused for one harms no other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ..client.viewing import client
from ..engine.errors import DurableError, IllegalTransition
from ..engine.states import TERMINAL, RuntimeStatus
from . import arguments, rendering, selection
from .paging import Pages
from .progress import Progress

LIVE = frozenset(RuntimeStatus) - TERMINAL


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done to each instance.

    Attributes:
        name, done: As in "cancel" and "canceled".
        statuses: In which an instance may be.
        run: Does it to an instance id; raises what the client raises.
        chosen: Which statuses a filter chooses that names none, where that is not all of `statuses`.
        roots_only: It is done to a whole tree, and never to a child.
    """

    name: str
    done: str
    statuses: frozenset[RuntimeStatus]
    run: Callable[[str], object]
    chosen: frozenset[RuntimeStatus] | None = None
    roots_only: bool = False


def add_arguments(parser: CommandParser) -> None:
    """Add what chooses instances, and how the operation is gone about."""
    selection.add_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="Only say to which it would be done.")
    parser.add_argument("-y", "--yes", action="store_true", help="Do not ask before doing it to those of a filter.")
    parser.add_argument("--json", dest="as_json", action="store_true", help="Print the outcome of each as JSON.")


def carry_out(command: BaseCommand, operation: Operation, options: Mapping[str, Any]) -> None:
    """Do an operation to the instances that the options choose.

    Raises: CommandError: nothing was chosen, it was not confirmed, or it was refused for some.
    """
    named = selection.named(options)
    if named:
        chosen: Iterable[str] = named
    else:
        _confirm(command, operation, options)
        chosen = (found.instance_id for found in _matching(operation, options))
    report = _Report(command, operation, options, alone=len(named) == 1)
    with Progress(command.stderr, quiet=not options["verbosity"]) as progress:
        for instance_id in chosen:
            progress.show(f"{operation.done.capitalize()} {report.succeeded:,}")
            try:
                _run(operation, instance_id, dry_run=options["dry_run"])
            except DurableError as error:
                progress.clear()
                report.refused(instance_id, error)
            else:
                report.did(instance_id)
    report.close()


def _run(operation: Operation, instance_id: str, *, dry_run: bool) -> None:
    if not dry_run:
        operation.run(instance_id)
        return
    found = client.get_instance_info(instance_id)
    if operation.roots_only and found.parent_instance_id is not None:
        raise IllegalTransition(instance_id, operation.name, "a sub-orchestration", ["a root"])
    if found.runtime_status not in operation.statuses:
        raise IllegalTransition(instance_id, operation.name, found.runtime_status, sorted(operation.statuses))


# Which.


def _matching(operation: Operation, options: Mapping[str, Any]) -> Pages:
    filter = arguments.filter_of(options)
    asked = filter.statuses or operation.chosen or operation.statuses
    has_parent = False if operation.roots_only else filter.has_parent
    filter = replace(
        filter, runtime_status=[each for each in asked if each in operation.statuses], has_parent=has_parent
    )
    return Pages(client, filter, limit=options["limit"])


def _confirm(command: BaseCommand, operation: Operation, options: Mapping[str, Any]) -> None:
    """Ask before an operation on those of a filter. Raises: CommandError: no, or nobody can answer."""
    if options["dry_run"] or options["yes"]:
        return
    if not sys.stdin.isatty():
        raise CommandError("Pass --yes to do this to all that match, or --dry-run to see which those are.")
    number = sum(1 for _ in _matching(operation, options))
    command.stderr.write(
        f"This will {operation.name} {rendering.count(number, 'instance')}. Type 'yes' to go on: ",
        style_func=str,
        ending="",
    )
    command.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise CommandError("Nothing was done.")


# What came of it.


class _Report:
    """Writes the outcome of each instance as it comes, and how many there were of each kind."""

    def __init__(self, command: BaseCommand, operation: Operation, options: Mapping[str, Any], *, alone: bool) -> None:
        self._command = command
        self._operation = operation
        self._dry_run: bool = options["dry_run"]
        self._quiet = not options["verbosity"]
        self._results = rendering.Results(command.stdout) if options["as_json"] else None
        self._alone = alone
        self._reason: DurableError | None = None
        self.succeeded = 0
        self.failed = 0

    def did(self, instance_id: str) -> None:
        self.succeeded += 1
        if self._results is not None:
            self._results.add({"instance_id": instance_id, "ok": True, "code": None, "detail": None})
        elif not self._quiet:
            done = f"would be {self._operation.done}" if self._dry_run else self._operation.done
            self._command.stdout.write(f"{rendering.printable(instance_id)} {done}")

    def refused(self, instance_id: str, error: DurableError) -> None:
        self.failed += 1
        self._reason = error
        if self._results is not None:
            code = code_of(error)
            self._results.add({"instance_id": instance_id, "ok": False, "code": code, "detail": str(error)})
        elif not self._alone:
            self._command.stderr.write(str(error))

    def close(self) -> None:
        """Write the totals. Raises: CommandError: something was refused."""
        if self._results is not None:
            self._results.close(
                operation=self._operation.name, dry_run=self._dry_run, succeeded=self.succeeded, failed=self.failed
            )
        elif not self.succeeded and not self.failed:
            self._command.stderr.write(
                "No instance matches that could be " + self._operation.done + ".", style_func=str
            )
        if self._reason is not None and self._alone:
            raise self._reason
        if self.failed:
            total = self.succeeded + self.failed
            raise CommandError(f"{self.failed:,} of {rendering.count(total, 'instance')} not {self._operation.done}.")


def code_of(error: DurableError) -> str:
    """Return the code of an error, as the REST API has it: an `IllegalTransition` is `illegal_transition`."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in type(error).__name__).lstrip("_")
