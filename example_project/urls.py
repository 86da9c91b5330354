"""The shop, the admin, and the REST API."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("durable/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("durable/", include("django_durable.api.urls")),
    path("favicon.ico", RedirectView.as_view(url=static("shop/icon.svg"))),  # Browsers ask where a page names none.
    path("", include("example_project.shop.urls")),
    *staticfiles_urlpatterns(),
]
