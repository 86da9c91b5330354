"""The addresses of the shop's pages and forms."""

from __future__ import annotations

from django.urls import path

from .views import imports, orders, posters, support

app_name = "shop"
urlpatterns = [
    path("", posters.index, name="index"),
    path("posters/<int:pk>.svg", posters.poster_image, name="poster_image"),
    path("posters/<int:pk>/guide/", posters.guide, name="guide"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<int:pk>/", orders.order, name="order"),
    path("orders/<int:pk>/cancel/", orders.cancel_order, name="cancel_order"),
    path("imports/", imports.imports, name="imports"),
    path("imports/start/", imports.start_import, name="start_import"),
    path("imports/<int:pk>/", imports.import_run, name="import"),
    path("imports/<int:pk>/decision/", imports.decide_import, name="decide_import"),
    path("support/", support.chat, name="chat"),
]
