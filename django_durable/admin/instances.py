"""Instances in the admin: the list, the page of each, what can be done to them, starting one, and the overview."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from ..client.viewing import client
from ..engine.errors import DurableError, InstanceNotFound, NotRegistered
from ..models import Instance
from ..permissions import Right, current_permissions
from ..store.filters import starting_with
from ..store.transactions import commits_alone
from . import changelist, detail, overview, text
from .forms import StartForm
from .operations import OPERATIONS, Operation
from .rights import GuardedAdmin

AT_ONCE = 1_000
"""Most instances of one action."""

ERRORS_SHOWN = 10
TEMPLATES = "admin/django_durable/instance/"


def action_of(operation: Operation) -> Callable[..., Any]:
    """Make the action that carries out an operation on the instances selected in the list."""

    @admin.action(description=operation.many, permissions=[operation.right])
    def perform(model_admin: InstanceAdmin, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        return model_admin.operate_on_many(request, operation, queryset)

    perform.__name__ = f"{operation.name}_instances"
    return perform


@admin.register(Instance)
class InstanceAdmin(changelist.OwnFilters, GuardedAdmin):
    """Read-only. Every change goes through the client, and to the admin's log."""

    list_display = ("status", "key", "code", "progress", "age")
    list_display_links = ("key",)
    list_filter = (
        changelist.StatusFilter,
        changelist.OrchestrationFilter,
        changelist.VersionFilter,
        changelist.StartedFilter,
        changelist.ParentFilter,
        changelist.StuckFilter,
    )
    list_select_related = ("parent",)
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    search_fields = ("instance_id",)
    search_help_text = gettext_lazy("The beginning of an instance id; case matters.")
    actions = tuple(action_of(operation) for operation in OPERATIONS.values())

    class Media:
        css = {"all": ["django_durable/admin.css"]}
        js = ["django_durable/admin.js"]

    # The list.

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).using(client.using)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[changelist.KeysetChangeList]:
        return changelist.InstanceChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (starting_with(queryset, term) if term else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any(_number(each) is None for each in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("A selected instance has a key that is no number.")
        context = {"title": _("Instances"), "may_start": self.may(request, "start"), **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description=gettext_lazy("Status"))
    def status(self, instance: Instance) -> SafeString:
        return text.pill(instance.runtime_status)

    @admin.display(description=gettext_lazy("Instance"))
    def key(self, instance: Instance) -> str:
        return instance.instance_id

    @admin.display(description=gettext_lazy("Orchestration"))
    def code(self, instance: Instance) -> SafeString:
        named = format_html(
            '<span class="durable-code-name" title="{}">{}</span> <span class="durable-quiet">{}</span>',
            instance.orchestration,
            text.last_part(instance.orchestration),
            instance.version,
        )
        if instance.parent is None:
            return named
        return format_html(
            '{} <span class="durable-parent durable-quiet">{} <a href="{}" title="{}">{}</a></span>',
            named,
            _("child of"),
            self._address("change", instance.parent_id),
            *[instance.parent.instance_id] * 2,
        )

    @admin.display(description=gettext_lazy("Custom status"))
    def progress(self, instance: Any) -> SafeString | str:
        shown = text.custom_status(instance.custom_status)
        if not instance.queued:
            return shown
        waiting = ngettext("%(count)d queued event", "%(count)d queued events", instance.queued)
        waiting %= {"count": instance.queued}
        return format_html('{} <span class="durable-queued durable-quiet">{}</span>', shown, waiting)

    @admin.display(description=gettext_lazy("Created"))
    def age(self, instance: Instance) -> SafeString:
        now = timezone.now()
        created = text.moment(instance.created_at, text=text.ago(instance.created_at, now))
        if instance.started_at is None:
            return format_html("{}", created)
        took = text.duration((instance.completed_at or now) - instance.started_at)
        label = _("took %(duration)s") if instance.completed_at else _("for %(duration)s")
        return format_html('{} <span class="durable-took durable-quiet">{}</span>', created, label % {"duration": took})

    # Pages.

    def get_urls(self) -> list[Any]:
        def page(view: Callable[..., HttpResponse]) -> Any:
            return self.admin_site.admin_view(view)

        own = [
            path("overview/", page(self.overview_view), name="django_durable_instance_overview"),
            path("start/", page(self.start_view), name="django_durable_instance_start"),
            path("<int:pk>/do/<slug:name>/", page(self.operation_view), name="django_durable_instance_do"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one instance."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        instance = self.get_queryset(request).select_related("parent", "root").filter(pk=_number(object_id)).first()
        if instance is None or not self.has_view_permission(request, instance):
            return self._missing(request, object_id)
        if not self.rules_allow(request, Right.INSPECT, instance):
            raise PermissionDenied
        page = detail.page_of(
            instance,
            execution=_number(request.GET.get("execution")),
            before=_number(request.GET.get("before")),
            below=_place(request),
            payloads=self.may(request, "payload", instance),
            reads=lambda stream: self.may_read(request, instance, stream),
            sees=lambda relative: self.rules_allow(request, Right.VIEW, relative),
        )
        fitting = [
            each for each in OPERATIONS.values() if each.fits(instance) and (page["streams"] or not each.on_streams)
        ]
        offered = [each for each in fitting if self.may(request, each.right, instance)]
        page |= {"operations": offered, "may_signal": self.may(request, "signal", instance)}
        return self._page(request, "detail.html", title=instance.instance_id, **page, **(extra_context or {}))

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """Show how the system is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_see_workers = request.user.has_perm("django_durable.view_worker")
        return self._page(request, "overview.html", title=_("Overview"), **overview.page_of(workers=may_see_workers))

    def _missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say that there is no such instance, and lead back to the list."""
        told = _("There is no instance with the key “%(key)s”. It may have been deleted.") % {"key": object_id}
        self.message_user(request, told, messages.WARNING)
        return HttpResponseRedirect(self._address("changelist"))

    def _address(self, name: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:django_durable_instance_{name}", args=args)

    def _page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        request.current_app = self.admin_site.name
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, TEMPLATES + template, {**shared, **context})

    # Operations.

    def operation_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask for what an operation on one instance needs, and carry it out."""
        operation = OPERATIONS.get(name)
        if operation is None:
            raise Http404
        if not self.may(request, operation.right):
            raise PermissionDenied
        instance = self.get_queryset(request).filter(pk=pk).first()
        if instance is None or not self.has_view_permission(request, instance):
            return self._missing(request, str(pk))
        back = self._address("change", pk)
        form = self._form(operation, request)
        if request.method == "POST" and (form is None or form.is_valid()):
            done = self.operate(request, operation, [instance], form.cleaned_data if form else {})
            gone = done and operation.name == "delete"
            return HttpResponseRedirect(self._address("changelist") if gone else back)
        return self._ask(request, operation, form, [instance], back)

    def operate_on_many(self, request: HttpRequest, operation: Operation, queryset: Any) -> HttpResponse | None:
        """Ask for what an operation on the selected instances needs; carry it out once that was confirmed."""
        chosen = list(queryset.order_by("id")[: AT_ONCE + 1])
        if len(chosen) > AT_ONCE:
            told = _("Only the first %(count)s of the selected instances were taken.") % {"count": f"{AT_ONCE:,}"}
            self.message_user(request, told, messages.WARNING)
        chosen = chosen[:AT_ONCE]
        confirmed = "confirmed" in request.POST
        form = self._form(operation, request, bound=confirmed)
        if form is None or (confirmed and form.is_valid()):
            self.operate(request, operation, chosen, form.cleaned_data if form else {})
            return None
        return self._ask(request, operation, form, chosen, request.get_full_path(), many=True)

    @commits_alone()
    def operate(
        self, request: HttpRequest, operation: Operation, instances: Iterable[Instance], given: dict[str, Any]
    ) -> int:
        """Carry out an operation on each instance, log it, and report; return on how many it was done.

        What an instance does not allow is reported with the reason, and stops none of the others.
        """
        done: list[Instance] = []
        errors: list[str] = []
        for instance in instances:
            try:
                if not self.has_view_permission(request, instance):
                    raise InstanceNotFound(instance.instance_id)
                if not self.may(request, operation.right, instance) or (
                    operation.right == "send" and not self.may_send(request, instance, given["stream"])
                ):
                    errors.append(_("You may not do this to “%(key)s”.") % {"key": instance.instance_id})
                    continue
                operation.run(client, instance.instance_id, given)
            except DurableError as error:
                errors.append(str(error))
            else:
                done.append(instance)
                if operation.name == "delete":
                    deleted: Any = [instance]
                    self.log_deletions(request, deleted)
                else:
                    self.log_change(request, instance, operation.note(given))
        if done:
            self.message_user(request, operation.done % {"count": len(done)}, messages.SUCCESS)
        for refused in errors[:ERRORS_SHOWN]:
            self.message_user(request, refused, messages.ERROR)
        if (rest := len(errors) - ERRORS_SHOWN) > 0:
            more = ngettext("%(count)d more was refused.", "%(count)d more were refused.", rest) % {"count": rest}
            self.message_user(request, more, messages.ERROR)
        return len(done)

    def _form(self, operation: Operation, request: HttpRequest, *, bound: bool | None = None) -> Any:
        if operation.form is None:
            return None
        given = {name: request.GET[name] for name in ("name", "queue") if name in request.GET}
        if bound if bound is not None else request.method == "POST":
            form = operation.form(request.POST)
        else:
            form = operation.form(initial=given)
        if operation.name == "delete" and not self.may(request, "terminate"):
            del form.fields["force"]  # Whoever may not end an instance may not delete one that has not ended.
        return form

    def _ask(
        self,
        request: HttpRequest,
        operation: Operation,
        form: Any,
        chosen: list[Instance],
        back: str,
        *,
        many: bool = False,
    ) -> HttpResponse:
        return self._page(
            request,
            "operation.html",
            title=operation.label if not many else operation.many,
            operation=operation,
            form=form,
            chosen=[(each, text.pill(each.runtime_status)) for each in chosen],
            back=back,
            many=many,
            checkbox_name=ACTION_CHECKBOX_NAME,
            action_name=f"{operation.name}_instances",
        )

    # Starting.

    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Choose an orchestration, then give its input."""
        if not self.may(request, "start"):
            raise PermissionDenied
        rules = current_permissions()
        name, version = request.GET.get("orchestration"), request.GET.get("version") or None
        if not name:
            listed = [_described(each) for each in client.registry.names if rules.can_start(request.user, each)]
            return self._page(request, "start.html", title=_("Start an instance"), listed=listed)
        if not rules.can_start(request.user, name):
            raise PermissionDenied
        try:
            definition = client.registry.get_orchestration(name, version)
        except NotRegistered as error:
            raise Http404(str(error)) from None
        form = StartForm(definition, request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                return self._start(request, form, version)
            except DurableError as error:
                form.add_error(None, str(error))
        shown = {"name": definition.name, "version": definition.version, "doc": text.unwrapped(definition.doc)}
        return self._page(request, "start.html", title=_("Start an instance"), definition=shown, form=form)

    @commits_alone()
    def _start(self, request: HttpRequest, form: StartForm, version: str | None) -> HttpResponse:
        given = form.cleaned_data
        started = client.start_orchestration(
            given["instance_id"] or uuid.uuid4().hex,
            form.definition.name,
            given["value"],
            version=version,
            start_at=given["start_at"],
        )
        instance = self.get_queryset(request).get(instance_id=started.instance_id)
        if started.created:
            self.log_addition(request, instance, _("Started %(name)s.") % {"name": form.definition.name})
            self.message_user(request, _("The instance was started."), messages.SUCCESS)
        else:
            self.message_user(request, _("This instance was started before, with the same input."), messages.INFO)
        return HttpResponseRedirect(self._address("change", instance.pk))


def _described(name: str) -> dict[str, Any]:
    """Return an orchestration as a template can show it: a definition itself is callable, and a template calls it."""
    definition = client.registry.get_orchestration(name)
    return {
        "name": name,
        "doc": text.unwrapped(definition.doc).partition("\n\n")[0],
        "versions": client.registry.versions(name)[::-1],
    }


def _place(request: HttpRequest) -> tuple[str, int] | None:
    """Return which items of which stream a page is asked for."""
    stream, below = request.GET.get("stream"), _number(request.GET.get("below"))
    return (stream, below) if stream and below else None


def _number(given: str | None) -> int | None:
    """Return a positive whole number given in an address, None for anything else."""
    return int(given) if given and given.isascii() and given.isdecimal() and len(given) < 19 else None
