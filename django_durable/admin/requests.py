"""Requests in the admin: what people are asked, and the form of the answer."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _, gettext_lazy

from .. import redaction
from ..client.viewing import client
from ..engine.errors import DurableError
from ..engine.states import TERMINAL, PromiseOutcome
from ..models import PROMISE_LABELS, Promise
from ..permissions import DurablePermissions, Right, current_permissions
from ..store.promises import OPEN, named_or_of
from . import text
from .answers import AnswerForm
from .changelist import KeysetChangeList, TextFilter
from .workers import ReadOnlyAdmin

MARKS = {"Open": "?", "Completed": "✓", "Failed": "✕", "Expired": "⌛", "Withdrawn": "⊘", "Abandoned": "⊘"}
TEMPLATE = "admin/django_durable/promise/answer.html"


class OpenFilter(admin.SimpleListFilter):
    """Those that can still be answered, unless all are asked for."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("all", gettext_lazy("All"))]

    def choices(self, changelist: Any) -> Any:
        chosen = self.value() == "all"
        yield {
            "selected": not chosen,
            "query_string": changelist.get_query_string(remove=["state"]),
            "display": _("Open"),
        }
        yield {"selected": chosen, "query_string": changelist.get_query_string({"state": "all"}), "display": _("All")}

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset if self.value() == "all" else queryset.filter(OPEN)


class AssigneeFilter(TextFilter):
    """By whom it is meant for: oneself, nobody, and the one asked for."""

    title = gettext_lazy("assignee")
    parameter_name = column = "assignee"
    nobody = "-"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        own = request.user.get_username()
        asked = request.GET.get(self.parameter_name)
        others = [(asked, asked)] if asked and asked not in (own, self.nobody) else []
        return [(own, _("Me (%(name)s)") % {"name": own}), (self.nobody, _("Nobody")), *others]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(assignee="") if self.value() == self.nobody else super().queryset(request, queryset)


class RequestChangeList(KeysetChangeList):
    """Requests of the instances that one may see, or answer for."""

    def shows(self, rules: DurablePermissions, user: Any, row: Any) -> bool:
        return rules.can_change(user, row.instance, Right.ANSWER) or rules.can_view(user, row.instance)


@admin.register(Promise)
class RequestAdmin(ReadOnlyAdmin):
    """The list of requests, and the page that one is answered on. Who may answer may look."""

    show_full_result_count = False
    list_display = ("state", "asked", "whom", "deadline", "created", "name", "of")
    list_display_links = ("asked",)
    list_filter = (OpenFilter, AssigneeFilter)
    list_select_related = ("instance",)
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name",)
    search_help_text = gettext_lazy("Exactly the name of the request, or an instance id; case matters.")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_answer(request) or super().has_view_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def may_answer(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.has_perm("django_durable.answer_promise"))

    # The list.

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(question__isnull=False).select_related("instance")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return RequestChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (named_or_of(queryset, term) if term else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Requests"), **(extra_context or {})})

    @admin.display(description=gettext_lazy("State"))
    def state(self, promise: Promise) -> SafeString:
        word = outcome_of(promise)
        label = _("Abandoned") if word == "Abandoned" else PROMISE_LABELS[PromiseOutcome(promise.outcome)]
        return text.mark(word.lower(), MARKS[word], label)

    @admin.display(description=gettext_lazy("Question"))
    def asked(self, promise: Promise) -> str:
        found = json.loads(promise.question or "null")
        return text.short(text.pairs(found.items()) if isinstance(found, dict) and found else question_of(promise))

    @admin.display(description=gettext_lazy("Assignee"))
    def whom(self, promise: Promise) -> str:
        return promise.assignee or text.NOTHING

    @admin.display(description=gettext_lazy("Instance"))
    def of(self, promise: Promise) -> SafeString:
        address = reverse(f"{self.admin_site.name}:django_durable_instance_change", args=[promise.instance_id])
        return format_html('<a href="{}">{}</a>', address, promise.instance.instance_id)

    @admin.display(description=gettext_lazy("Asked"))
    def created(self, promise: Promise) -> SafeString | str:
        return text.moment(promise.created_at, text=text.ago(promise.created_at, timezone.now()))

    @admin.display(description=gettext_lazy("Deadline"))
    def deadline(self, promise: Promise) -> SafeString | str:
        at = promise.expires_at
        return text.NOTHING if at is None else text.moment(at, text=text.ago(at, timezone.now()))

    # The page of one.

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a request, and take the answer."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        known = object_id.isascii() and object_id.isdecimal() and len(object_id) < 19
        promise = self.get_queryset(request).filter(pk=object_id).first() if known else None
        rules = current_permissions()
        answerable = (
            promise is not None
            and self.may_answer(request)
            and rules.can_change(request.user, promise.instance, Right.ANSWER)
        )
        if promise is None or not (answerable or rules.can_view(request.user, promise.instance)):
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        answered = request.method == "POST"
        if answered and not answerable:
            raise PermissionDenied
        form = None
        if answerable and outcome_of(promise) == "Open":
            form = AnswerForm(json.loads(promise.answer or "{}"), request.POST if answered else None)
        if answered:
            if form is None:
                self.message_user(request, _("This request can no longer be answered."), messages.WARNING)
            elif form.is_valid() and self._answer(request, promise, form):
                return HttpResponseRedirect(reverse(f"{self.admin_site.name}:django_durable_promise_changelist"))
        return self._page(request, redaction.shown(promise), form)

    def _answer(self, request: HttpRequest, promise: Promise, form: AnswerForm) -> bool:
        by = request.user.get_username()
        try:
            client.complete_promise(promise.instance.instance_id, promise.promise_id, form.answer(), by=by)
        except DurableError as error:
            form.add_error(None, str(error))
            return False
        self.log_change(request, promise, _("Answered."))
        self.message_user(request, _("The request was answered."), messages.SUCCESS)
        return True

    def _page(self, request: HttpRequest, promise: Promise, form: AnswerForm | None) -> HttpResponse:
        request.current_app = self.admin_site.name
        told = text.moment(promise.settled_at)
        facts = [
            (_("State"), self.state(promise)),
            (_("Name"), promise.name),
            (_("Assignee"), self.whom(promise)),
            (_("Instance"), self.of(promise)),
            (_("Orchestration"), promise.instance.orchestration),
            (_("Asked"), self.created(promise)),
            (_("Deadline"), self.deadline(promise)),
        ]
        if promise.settled_at is not None:
            facts += [(_("Settled"), told), (_("By"), promise.settled_by or text.NOTHING)]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Request “%(name)s”") % {"name": promise.name},
            "facts": facts,
            "question": question_of(promise),
            "form": form,
            "back": reverse(f"{self.admin_site.name}:django_durable_promise_changelist"),
        }
        return TemplateResponse(request, TEMPLATE, context)


def outcome_of(promise: Promise) -> str:
    """Return what became of a promise: Open, an outcome, or Abandoned where its execution ended without it."""
    if promise.outcome:
        return promise.outcome
    instance = promise.instance
    over = instance.runtime_status in TERMINAL or instance.execution_number != promise.execution_number
    return "Abandoned" if over else "Open"


def question_of(promise: Promise) -> str:
    """Return a question as people read it: text as it is, the rest as JSON."""
    found = json.loads(promise.question or "null")
    return found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)
