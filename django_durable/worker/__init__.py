"""Running instances: the dispatcher makes turns, the executor runs activities, leases keep both fenced."""

from __future__ import annotations
