"""What is on sale: for everybody."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from ..artwork import drawing
from ..forms import SearchForm
from ..models import Poster

POSTERS_PER_PAGE = 24


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
