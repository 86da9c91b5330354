"""Metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable

from ..client import QueueDepths, SystemMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "django_durable"

_QUEUES = {
    "orchestrator_queue": "Messages that a turn can take now.",
    "timer_queue": "Messages that become visible later: timers and delayed starts.",
    "held_messages": "Messages of suspended and blocked instances.",
    "delayed_activities": "Activity tasks that wait for their next attempt.",
    "running_activities": "Activity tasks that a worker has.",
}


def text(*, system: SystemMetrics, queues: QueueDepths, workers: int) -> str:
    """Return the exposition of all metrics; every one is a gauge, because deleting and pruning lower it."""
    lines: list[str] = []

    def gauge(name: str, help: str, samples: Iterable[tuple[dict[str, str], int]]) -> None:
        lines.extend((f"# HELP {PREFIX}_{name} {help}", f"# TYPE {PREFIX}_{name} gauge"))
        lines.extend(f"{PREFIX}_{name}{_labels(labels)} {value}" for labels, value in samples)

    by_status = system.instances_by_status.items()
    gauge("instances", "Instances by status.", [({"runtime_status": status.value}, n) for status, n in by_status])
    gauge("executions", "Executions that were not pruned.", [({}, system.total_executions)])
    gauge("events", "Recorded events that were not pruned.", [({}, system.total_events)])
    for name, help in _QUEUES.items():
        gauge(name, help, [({}, getattr(queues, name))])
    # The tag "" is always there: a series that comes and goes cannot be alerted on.
    by_tag = {"": 0, **queues.worker_queue_by_tag}.items()
    gauge("worker_queue", "Activity tasks that can be claimed now.", [({"tag": tag}, count) for tag, count in by_tag])
    gauge("workers", "Workers with a heartbeat.", [({}, workers)])
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
