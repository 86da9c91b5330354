"""What the OpenAPI document promises, held by generated requests against the whole application, in both directions.

Requests that the document allows, and requests that it does not: each answer has a status, a content type and a body
that the document describes, and none is a failure of the server. The instances are in every state there is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings

from django_durable.api.views.base import DurableView

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed; it is in the group `dev`")
CHECKS = schemathesis.checks.CHECKS
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE

IDS = {
    "waiting": "orders.waits",
    "suspended": "orders.waits",
    "canceled": "orders.waits",
    "terminated": "orders.waits",
    "<b>%": "orders.waits",
    "failed": "orders.fails",
    "done": "orders.doubles",
    "continued": "orders.repeats",
    "parent": "orders.parent",
}
KNOWN = [*IDS, "parent-child", "pending", "delayed", "blocked", "nothing"]
EXAMPLES = 30


def document() -> dict[str, Any]:
    made = SchemaGenerator(urlconf="tests.faces.api.urls").get_schema(request=None, public=True)
    # Ids that are there: an id that was made up finds nothing.
    known = {
        "instance_id": KNOWN,
        "key": ["secret", "status", "nothing"],
        "number": [1, 2, 99],
        "promise_id": ["nothing"],
    }
    for methods in made["paths"].values():
        for operation in methods.values():
            for each in operation.get("parameters", ()):
                if each["in"] == "path" and each["name"] in known:  # Any name is that of a queue or stream.
                    each["schema"] = {**each["schema"], "enum": known[each["name"]]}
    return made


def ends(operation: dict[str, Any]) -> bool:
    """Whether an answer has an end: a stream of events is for a test that listens."""
    return not any("text/event-stream" in answer.get("content", {}) for answer in operation["responses"].values())


SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = [
    (path, method)
    for path, methods in SCHEMA.raw_schema["paths"].items()
    for method, operation in methods.items()
    if ends(operation)
]
schemathesis.checks.load_all_checks()
# Who may do what is the permission matrix's; here every request is of somebody who may. And a request that fits the
# document may still mean nothing: an orchestration that is not registered, an execution that is not there.
LEFT_OUT = {"ignored_auth", "positive_data_acceptance"}
CHECKED = [each for each in CHECKS.get_all() if each.__name__ not in LEFT_OUT]


@pytest.fixture
def everything(durable, monkeypatch, django_user_model) -> Iterator[dict[str, str]]:
    """Instances in every state, and the headers of somebody who may do everything."""
    from rest_framework.authentication import BasicAuthentication

    monkeypatch.setattr(DurableView, "authentication_classes", [BasicAuthentication])
    django_user_model.objects.create_superuser("root", password="root")
    for instance_id, name in IDS.items():
        given = {"orders.doubles": {"number": 1}, "orders.repeats": {"left": 2}}.get(name)
        durable.client.start_orchestration(instance_id, name, given)
    durable.run()
    durable.client.suspend_instance("suspended")
    durable.client.cancel_instance("canceled")
    durable.client.terminate_instance("terminated")
    durable.run()
    block(durable)
    durable.client.start_orchestration("pending", "orders.waits")
    durable.client.start_orchestration("delayed", "orders.waits", delay=3_600_000)
    durable.client.enqueue_event("waiting", "messages", {"a": [1, None]})
    durable.client.send_to_stream("waiting", "words", "a", {"b": None})
    durable.client.trim_stream("waiting", "words", keep=1)
    durable.client.close_stream("waiting", "closed", "enough")
    # As Django's own test client does: the connection is the test's.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": "Basic " + base64.b64encode(b"root:root").decode()}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def block(durable: Any) -> None:
    from django_durable.models import InboxMessage, Instance

    durable.client.start_orchestration("blocked", "orders.waits")
    Instance.objects.filter(instance_id="blocked").update(orchestration="orders.gone")
    InboxMessage.objects.filter(instance__instance_id="blocked").update(name="orders.gone")
    durable.run()


CASES = [(path, method, POSITIVE) for path, method in OPERATIONS] + [
    # Of what takes nothing, nothing can be wrong.
    (path, method, NEGATIVE)
    for path, method in OPERATIONS
    if "/health/" not in path
]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_every_answer_is_one_that_the_document_describes(everything, path, method, mode) -> None:
    operation = SCHEMA[path][method]
    application = WSGIHandler()
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=health,
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_described(case: Any) -> None:
        with transaction.atomic():
            answer = case.call(app=application, headers={**(case.headers or {}), **everything})
            # The next request finds the instances as this one did.
            transaction.set_rollback(True)
        case.validate_response(answer, checks=CHECKED)

    answers_as_described()
