"""What is on sale, for everybody, and what the guide tells customers about it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from django_durable.client import client

from .. import services
from ..artwork import drawing
from ..forms import SearchForm
from ..models import Poster
from ..watching import status_of

POSTERS_PER_PAGE = 24
LONGEST_STORY = 1000
"""Words of a story that a page has at first; what follows comes by the stream."""


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show what is on sale, the largest cities first."""
    form = SearchForm(request.GET)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    on_sale = Poster.objects.filter(published=True, city__icontains=query)
    posters = Paginator(on_sale, POSTERS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "shop/index.html", {"form": form, "query": query, "posters": posters})


@require_safe
@cache_control(public=True, max_age=24 * 60 * 60)
def poster_image(request: HttpRequest, pk: int) -> HttpResponse:
    """Draw a poster."""
    poster = get_object_or_404(Poster, pk=pk, published=True)
    return render(request, "shop/poster.svg", drawing(poster), content_type="image/svg+xml")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def guide(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a customer was told about a city so far, or begin to tell."""
    poster = get_object_or_404(Poster, pk=pk, published=True)
    if request.method == "POST":
        services.tell_about(request.user, poster)
        return redirect("shop:guide", pk)
    instance_id = services.guide_of(request.user, poster)
    status = status_of(instance_id)
    page = client.read_stream(instance_id, "story", limit=LONGEST_STORY) if status else None
    return render(request, "shop/guide.html", {"poster": poster, "status": status, "page": page})
