"""The shop's page, and the forms on it."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("", views.index, name="index"),
    path("imports/", views.start_import, name="start_import"),
    path("imports/<int:pk>/decision/", views.decide_import, name="decide_import"),
    path("orders/", views.place_order, name="place_order"),
    path("orders/<int:pk>/cancel/", views.cancel_order, name="cancel_order"),
]
