"""The API, and a page that shows what its query names, with a content security policy as strict as there is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import Context, Engine
from django.urls import include, path

from .statements import statements

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Watching</title><link rel="icon" href="data:,">
<meta name="durable-api" content="/durable/">
{% if socket is not None %}<meta name="durable-socket" content="{{ socket }}">{% endif %}
<script type="module" src="/static/django_durable/durable.js"></script>
</head><body>{% for id in ids %}
<section data-durable-instance="{{ id }}" id="{{ id }}">
<p class="text" data-durable-text="custom_status.text">as rendered</p>
<progress data-durable-value="custom_status.count" data-durable-max="custom_status.end"></progress>
<p class="status" data-durable-text="runtime_status"></p>
<p class="done" hidden data-durable-show-when="runtime_status=Completed,Failed">It is done.</p>
<p class="open" data-durable-show-when="!done">It goes on.</p>
{% if after is not None %}
<p class="words" data-durable-stream="words" data-durable-after="{{ after }}">as rendered: </p>
<ul class="lines" data-durable-stream="words"><template><li><b data-durable-item></b></li></template></ul>{% endif %}
</section>{% endfor %}</body></html>"""


def page(request: HttpRequest) -> HttpResponse:
    found = {"ids": request.GET.getlist("id"), "socket": request.GET.get("socket"), "after": request.GET.get("after")}
    response = HttpResponse(Engine().from_string(PAGE).render(Context(found)))
    response["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:"
    return response


def looks(request: HttpRequest) -> HttpResponse:
    """Say how often the database was asked what has changed, and how often for a status alone."""
    return JsonResponse(
        {
            "tail": sum("seen.instance_id" in each for each in statements),
            "status": sum("WHERE i.instance_id =" in each for each in statements),
        }
    )


urlpatterns = [
    path("page/", page),
    path("looks/", looks),
    path("durable/", include("django_durable.api.urls")),
]
