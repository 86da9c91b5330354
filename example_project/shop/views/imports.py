"""Imports: for staff, by Django's permissions."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from django_durable import DurableError

from .. import services
from ..forms import DecisionForm, first_error
from ..models import ImportRun
from ..watching import status_of, with_status

ROWS_PER_LIST = 20
REJECTED_SHOWN = 50


@login_required
@permission_required("shop.view_importrun", raise_exception=True)
@require_safe
def imports(request: HttpRequest) -> HttpResponse:
    """List the imports."""
    return render(request, "shop/imports.html", {"imports": with_status(ImportRun.objects.all()[:ROWS_PER_LIST])})


@login_required
@permission_required("shop.add_importrun", raise_exception=True)
@require_POST
def start_import(request: HttpRequest) -> HttpResponse:
    """Start importing the catalogue."""
    return redirect(services.start_import())


@login_required
@permission_required("shop.view_importrun", raise_exception=True)
@require_safe
def import_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an import while it runs, and ask for the decision."""
    run = get_object_or_404(ImportRun, pk=pk)
    rejected = run.rejected_rows.all()[:REJECTED_SHOWN]
    context = {"run": run, "status": status_of(run.instance_id), "rejected": rejected}
    return render(request, "shop/import.html", context)


@login_required
@permission_required("shop.change_importrun", raise_exception=True)
@require_POST
def decide_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish or discard an import."""
    run = get_object_or_404(ImportRun, pk=pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect(run)
    try:
        services.decide_import(run, approved=form.cleaned_data["decision"] == "publish", by=str(request.user))
    except DurableError as error:
        messages.error(request, str(error))
    return redirect(run)
