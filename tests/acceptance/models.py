"""What atomic activities write. The suite makes the table itself: the app is installed in worker processes only."""

from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """One business write; nothing keeps a second one out, so that a doubled write is seen."""

    instance = models.CharField(max_length=100)
    label = models.CharField(max_length=100)
    worker = models.CharField(max_length=100)

    class Meta:
        app_label = "acceptance"

    def __str__(self) -> str:
        return f"{self.label} of {self.instance}"
