"""The list of instances: pages by key instead of by number, and filters that never scan for their own choices.

The admin's own paginator counts the table to number its pages. Instances are listed newest first, and a page here is
"those older than this one", so a page costs the same at ten and at ten million rows, and nothing is counted.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from .. import redaction
from ..client.viewing import client
from ..engine.states import RuntimeStatus
from ..models import STATUS_LABELS
from ..permissions import DurablePermissions, current_permissions
from .text import last_part

OLDER, NEWER = "older", "newer"
PLACES = (OLDER, NEWER)


class KeysetChangeList(ChangeList):
    """A change list whose pages are named by the surrogate id they begin after."""

    older: str | None = None
    newer: str | None = None

    def get_queryset(self, request: Any, exclude_parameters: Any = None) -> Any:
        for name in PLACES:
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: Any) -> None:
        place = {name: int(at) for name in PLACES if (at := request.GET.get(name, "")).isdecimal() and len(at) < 19}
        size = self.list_per_page
        if NEWER in place:
            rows = list(self.queryset.filter(id__gt=place[NEWER]).order_by("id")[: size + 1])
            more_newer, more_older = len(rows) > size, True
            rows = rows[:size][::-1]
        else:
            found = self.queryset.filter(id__lt=place[OLDER]) if OLDER in place else self.queryset
            rows = list(found.order_by("-id")[: size + 1])
            more_newer, more_older = OLDER in place, len(rows) > size
            rows = rows[:size]
        if rows and more_newer:
            self.newer = self.get_query_string({NEWER: str(rows[0].pk)})
        if rows and more_older:
            self.older = self.get_query_string({OLDER: str(rows[-1].pk)})
        self.newest = self.get_query_string() if place else None
        # A page may be short of those that the project's rules hide; how many there are is not told by any page.
        rules = current_permissions()
        rows = redaction.shown([row for row in rows if self.shows(rules, request.user, row)])
        self.complete(rows)
        self.result_list = rows
        # What is known of the number of results: those on this page.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.show_admin_actions = bool(rows)
        self.can_show_all = self.multi_page = False
        self.paginator = OnePage(rows, size)

    def shows(self, rules: DurablePermissions, user: Any, row: Any) -> bool:
        """Tell whether a user may see a row."""
        raise NotImplementedError

    def complete(self, rows: list[Any]) -> None:
        """Give the rows of a page what they have beside their columns."""


class InstanceChangeList(KeysetChangeList):
    """Instances with the number of their queued events."""

    def shows(self, rules: DurablePermissions, user: Any, row: Any) -> bool:
        return rules.can_view(user, row)

    def complete(self, rows: list[Any]) -> None:
        queued = client.count_queued_events([row.pk for row in rows])
        for row in rows:
            row.queued = queued.get(row.pk, 0)


class OnePage(Paginator):
    """The rows that were read, as the one page that the admin's own code shall see."""

    @cached_property
    def count(self) -> int:
        return len(self.object_list)


class OwnFilters:
    """A model admin whose list is filtered by its own filters only."""

    def lookup_allowed(self: Any, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Tell whether a parameter is one of the filters: others could read the whole table, or what may not be seen.

        Raises: IncorrectLookupParameters: it is no field either. The admin leads back to the whole list.
        """
        if lookup in {each.parameter_name for each in self.list_filter if not isinstance(each, str)}:
            return True
        name = lookup.partition("__")[0]
        if name == "pk" or any(name == field.name for field in self.opts.get_fields()):
            return False
        if request is not None:
            told = _("There is no filter “%(name)s”. The whole list is shown.") % {"name": lookup[:80]}
            messages.warning(request, told)
        raise IncorrectLookupParameters


class TextFilter(admin.SimpleListFilter):
    """By the exact text of a column."""

    column: str

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        if not value:
            return queryset
        # PostgreSQL refuses NUL instead of finding that no text has it.
        return queryset.none() if "\0" in value else queryset.filter(**{self.column: value})


class StatusFilter(TextFilter):
    title = _("status")
    parameter_name = "status"
    column = "runtime_status"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [(status.value, STATUS_LABELS[status]) for status in RuntimeStatus]


class OrchestrationFilter(TextFilter):
    """By the names registered in this process, and the one asked for."""

    title = _("orchestration")
    parameter_name = column = "orchestration"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        names = set(client.registry.names)
        if asked := request.GET.get(self.parameter_name):
            names.add(asked)
        shorts = Counter(last_part(name) for name in names)
        labels = {name: last_part(name) if shorts[last_part(name)] == 1 else name for name in names}
        return sorted(labels.items(), key=lambda item: item[1])

    def has_output(self) -> bool:
        return bool(self.lookup_choices)


class VersionFilter(TextFilter):
    """By the versions of the orchestration that is chosen, and the one asked for; alone it would name nothing."""

    title = _("version")
    parameter_name = column = "version"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        versions = client.registry.versions(request.GET.get(OrchestrationFilter.parameter_name, ""))
        asked = request.GET.get(self.parameter_name)
        return [(each, each) for each in dict.fromkeys([*versions[::-1], *([asked] if asked else [])])]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)


class StartedFilter(admin.SimpleListFilter):
    title = _("created")
    parameter_name = "created"
    lengths = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("1h", _("In the last hour")), ("24h", _("In the last 24 hours")), ("7d", _("In the last 7 days"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        length = self.lengths.get(self.value() or "")
        return queryset if length is None else queryset.filter(created_at__gte=timezone.now() - length)


class ParentFilter(admin.SimpleListFilter):
    title = _("parent")
    parameter_name = "parent"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("no", _("Started on its own")), ("yes", _("Started by a parent"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(parent__isnull=self.value() == "no") if self.value() in ("yes", "no") else queryset


class StuckFilter(admin.SimpleListFilter):
    """Instances that an operator may have to look after."""

    title = _("trouble")
    parameter_name = "stuck"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("blocked", _("Blocked")), ("lease", _("Lease ran out"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "blocked":
            return queryset.filter(runtime_status=RuntimeStatus.BLOCKED.value)
        if self.value() == "lease":
            live = [RuntimeStatus.PENDING.value, RuntimeStatus.RUNNING.value]
            return queryset.filter(runtime_status__in=live, lease_until__lt=timezone.now())
        return queryset
