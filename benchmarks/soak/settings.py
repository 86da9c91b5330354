"""The example's settings, with leases and a retention that are short beside the length of a soak."""

from __future__ import annotations

from datetime import timedelta

from example_project.settings import *  # noqa: F403
from example_project.settings import DJANGO_DURABLE, LOGGING

DEBUG = False
DJANGO_DURABLE = {**DJANGO_DURABLE, "LEASE": timedelta(seconds=5), "RETENTION": timedelta(minutes=1)}
LOGGING["loggers"]["django_durable"]["level"] = "WARNING"
