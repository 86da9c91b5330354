"""The order of the pages."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    email = models.EmailField()
    total = models.DecimalField(max_digits=8, decimal_places=2, default=10)
    status = models.CharField(max_length=20, default="new")

    class Meta:
        app_label = "orders"  # Not in INSTALLED_APPS of the suite.

    def __str__(self) -> str:
        return f"Order {self.pk}"
