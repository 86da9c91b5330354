"""The OpenAPI document: made without a warning, and what the API really answers."""

from __future__ import annotations

import functools
from io import StringIO
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from drf_spectacular.management.commands.spectacular import Command

from .conftest import address

ORDER = "order-7"


def made(**options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command(Command(), "--fail-on-warn", "--validate", stdout=out, **options)
    return yaml.safe_load(out.getvalue())


made_once = functools.cache(made)


@pytest.fixture
def document() -> dict[str, Any]:
    return made_once()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]


def test_the_document_is_made_without_warnings_and_has_every_address(document) -> None:
    from django_durable.api.urls import urlpatterns

    assert len(operations(document)) == 37
    assert len(document["paths"]) == len({each.name for each in urlpatterns} - {"index"})


def test_it_is_made_for_a_project_with_another_default_schema_and_version_too(settings) -> None:
    settings.REST_FRAMEWORK = {
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
    }

    assert made()["paths"]


def test_names_are_its_own_and_no_field_is_called_status(document) -> None:
    components = document["components"]["schemas"]

    assert [name for name in components if not name.startswith("Durable") and not name.endswith("Enum")] == []
    assert [name for name in components if name.endswith("Enum")] == [
        "ExecutionStatusEnum",
        "OperationEnum",
        "RuntimeStatusEnum",
    ]
    # Problem details have one, of HTTP.
    assert [name for name, each in components.items() if "status" in each.get("properties", {})] == ["DurableProblem"]
    assert all(each["operationId"].startswith("durable_") for _, _, each in operations(document))


def test_every_operation_says_what_goes_wrong(document) -> None:
    for path, method, each in operations(document):
        if "/health/" not in path:
            assert {"401", "403", "406"} <= set(each["responses"]), (path, method)
        for status, answer in each["responses"].items():
            if int(status) in range(400, 500):
                assert list(answer["content"]) == ["application/problem+json"], (path, method, status)


CALLS = [
    ("get", "/durable/instances/", "/durable/instances/", None),
    ("post", "/durable/instances/", "/durable/instances/", {"orchestration": "orders.doubles", "input": 1}),
    ("post", "/durable/instances/", "/durable/instances/", {"orchestration": "orders.missing"}),
    ("post", "/durable/instances/", "/durable/instances/", {"orchestration": 7}),
    ("get", "/durable/orchestrations/", "/durable/orchestrations/", None),
    ("get", "/durable/workers/", "/durable/workers/", None),
    ("get", "/durable/metrics/", "/durable/metrics/", None),
    ("get", "/durable/health/live/", "/durable/health/live/", None),
    ("get", "/durable/health/ready/", "/durable/health/ready/", None),
    ("post", "/durable/bulk/", "/durable/bulk/", {"operation": "cancel", "filter": {}, "dry_run": True}),
    ("post", "/durable/bulk/", "/durable/bulk/", {"operation": "delete", "instance_ids": ["order-7", "nothing"]}),
    *[
        ("get", f"/durable/instances/{{instance_id}}/{rest}", address(each, rest), None)
        for rest in ("", "status/", "history/", "tree/", "executions/", "kv/")
        for each in (ORDER, "done", "failed", "nothing")
    ],
    ("get", "/durable/instances/{instance_id}/executions/{number}/", address(ORDER, "executions/1/"), None),
    ("get", "/durable/instances/{instance_id}/executions/{number}/", address(ORDER, "executions/9/"), None),
    *[
        (
            "get",
            "/durable/instances/{instance_id}/streams/{stream}/items/",
            address(ORDER, f"streams/words/{rest}"),
            None,
        )
        for rest in ("items/", "items/?after=0&limit=1", "items/?after=1", "items/?after=x")
    ],
    ("get", "/durable/instances/{instance_id}/streams/", address(ORDER, "streams/"), None),
    ("get", "/durable/instances/{instance_id}/kv/{key}/", address(ORDER, "kv/secret/"), None),
    ("get", "/durable/instances/{instance_id}/kv/{key}/", address(ORDER, "kv/nothing/"), None),
    ("post", "/durable/instances/{instance_id}/events/", address(ORDER, "events/"), {"name": "go"}),
    ("post", "/durable/instances/{instance_id}/queues/{queue}/messages/", address(ORDER, "queues/q/messages/"), {}),
    *[
        (
            "post",
            f"/durable/instances/{{instance_id}}/streams/{{stream}}/{rest}/",
            address(each, f"streams/words/{rest}/"),
            body,
        )
        for rest, body in (("items", {"items": [None, {"a": 1}]}), ("close", {"reason": "x"}), ("trim", {"keep": 1}))
        for each in (ORDER, "done")
    ],
    *[
        ("post", f"/durable/instances/{{instance_id}}/{move}/", address(each, f"{move}/"), {})
        for move in ("cancel", "terminate", "suspend", "resume", "retry", "fork", "prune")
        for each in (ORDER, "done")
    ],
    ("delete", "/durable/instances/{instance_id}/", address(ORDER), None),
    ("delete", "/durable/instances/{instance_id}/", address("done"), None),
]


@pytest.mark.parametrize(("method", "template", "path", "body"), CALLS)
def test_what_is_answered_is_what_is_described(api, durable, document, method, template, path, body) -> None:
    for instance_id, name in ((ORDER, "waits"), ("done", "doubles"), ("failed", "fails")):
        durable.client.start_orchestration(instance_id, f"orders.{name}", 1 if name == "doubles" else None)
    durable.run()
    durable.client.send_to_stream(ORDER, "words", "a", "b", "c")
    durable.client.trim_stream(ORDER, "words", before=3)

    answer = getattr(api, method)(path, body, format="json") if body is not None else getattr(api, method)(path)

    described = document["paths"][template][method]["responses"]
    assert str(answer.status_code) in described, answer.content
    content = described[str(answer.status_code)]["content"]
    schema = content[answer["Content-Type"].partition(";")[0]]["schema"]
    jsonschema.validate(answer.json(), closed({**schema, "components": document["components"]}))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a document's schema as JSON Schema that allows no field that it does not describe."""

    def convert(part: Any) -> Any:
        if isinstance(part, list):
            return [convert(each) for each in part]
        if not isinstance(part, dict):
            return part
        made = {name: convert(each) for name, each in part.items() if name != "nullable"}
        if "properties" in part and "additionalProperties" not in part and "errors" not in part["properties"]:
            made["additionalProperties"] = False
        return {"anyOf": [made, {"type": "null"}]} if part.get("nullable") is True else made

    return convert(schema)


@pytest.mark.parametrize(
    "path",
    [
        "/durable/instances/",
        address(ORDER),
        address(ORDER, "status/"),
        address(ORDER, "history/"),
        address(ORDER, "events/"),
        address(ORDER, "cancel/"),
        "/durable/bulk/",
        "/durable/orchestrations/",
        "/durable/workers/",
        "/durable/metrics/",
        "/durable/health/live/",
        address("nothing"),
    ],
)
def test_every_address_can_be_looked_at_in_a_browser(api, durable, path) -> None:
    durable.client.start_orchestration(ORDER, "orders.waits")
    durable.run()

    answer = api.get(path, HTTP_ACCEPT="text/html")

    assert answer.status_code in (200, 404, 405)
    assert answer["Content-Type"].startswith("text/html")
    assert "ETag" not in answer
    assert b"<html" in answer.content
