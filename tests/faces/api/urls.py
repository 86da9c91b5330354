"""The API where a project would include it."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("durable/", include("django_durable.api.urls"))]
