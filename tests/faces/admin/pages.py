"""Addresses, and what a page says."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

LIST = "/admin/django_durable/instance/"
START = f"{LIST}start/"
OVERVIEW = f"{LIST}overview/"


def key(instance_id: str) -> int:
    from django_durable.models import Instance

    return Instance.objects.get(instance_id=instance_id).pk


def page(instance_id: str) -> str:
    return f"{LIST}{key(instance_id)}/change/"


def do(instance_id: str, operation: str) -> str:
    return f"{LIST}{key(instance_id)}/do/{operation}/"


def status(instance_id: str) -> str:
    from django_durable.models import Instance

    return Instance.objects.get(instance_id=instance_id).runtime_status


def text(response: Any) -> str:
    """Return what a page says, without its markup and with single spaces."""
    assert response.status_code == 200, response
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", response.content.decode())
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def said(response: Any) -> list[str]:
    """Return the messages that a page shows."""
    return [str(each) for each in response.context["messages"]]


def logged() -> list[tuple[str, int, str]]:
    """Return what the admin's log has: who it is about, the flag, the message."""
    from django.contrib.admin.models import LogEntry

    return [(each.object_repr, each.action_flag, each.change_message) for each in LogEntry.objects.order_by("id")]
