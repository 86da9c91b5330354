"""`manage.py durable_workflows`: what this project's code has registered."""

from __future__ import annotations

from inspect import Signature
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...client.viewing import client
from ...definitions import Orchestration
from .. import rendering, shapes
from ..exits import tells_errors

SUMMARY_WIDTH = 60


class Command(BaseCommand):
    """See the module docstring."""

    help = "List the orchestrations and activities that this project's code has, with their parameters."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json",
            dest="as_json",
            action="store_true",
            help="Print JSON, with the JSON Schema of inputs and outputs.",
        )

    @tells_errors
    def handle(self, *, as_json: bool, **options: Any) -> None:
        registry = client.registry
        if as_json:
            rendering.write_json(
                self.stdout,
                {
                    "results": [
                        shapes.orchestration(each, latest=self._is_latest(each)) for each in registry.orchestrations()
                    ],
                    "activities": [shapes.activity(each) for each in registry.activities()],
                },
            )
            return
        with rendering.table(self.stdout, ("ORCHESTRATION", "VERSION", "PARAMETERS", ""), self.style) as table:
            for each in registry.orchestrations():
                version = each.version if self._is_latest(each) else f"{each.version} (old)"
                table.add(each.name, version, _parameters(each.signature), _summary(each.doc))
        if registry.orchestrations() and registry.activities():
            self.stdout.write()
        with rendering.table(self.stdout, ("ACTIVITY", "TAG", "PARAMETERS", ""), self.style) as table:
            for activity in registry.activities():
                table.add(activity.name, activity.tag or "", _parameters(activity.signature), _summary(activity.doc))
        if not registry.orchestrations() and not registry.activities():
            self.stderr.write("Nothing is registered. Decorate functions in workflows.py of an installed app.")

    def _is_latest(self, found: Orchestration[..., Any]) -> bool:
        return found is client.registry.get_orchestration(found.name)


def _summary(doc: str) -> str:
    return rendering.one_line(doc.partition("\n")[0], SUMMARY_WIDTH) if doc else ""


class _Bare(str):
    """Text that is written without quotes where its `repr` is asked for."""

    __slots__ = ()
    __repr__ = str.__str__


def _parameters(signature: Signature) -> str:
    """Return parameters as they stand in the source: hints that are text have no quotes."""
    bare = [
        each.replace(annotation=_Bare(each.annotation)) if isinstance(each.annotation, str) else each
        for each in signature.parameters.values()
    ]
    return rendering.one_line(str(Signature(bare)))
