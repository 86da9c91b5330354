"""Names to code: decorators, versions, look-ups."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import django_durable
from django_durable import RetryPolicy
from django_durable.definitions import Activity, Orchestration
from django_durable.engine.errors import ForbiddenInOrchestration, InvalidArgument, NotRegistered, PayloadError
from django_durable.engine.events import OrchestrationCompleted, OrchestrationFailed, OrchestrationStarted
from django_durable.engine.program import Environment
from django_durable.engine.replay import Execution
from django_durable.registry import Registry, version_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def charge(order_id: int) -> str:
    """Charge an order."""
    return f"receipt-{order_id}"


def checkout(ctx: Any, order_id: int, note: str = "") -> Generator[Any, Any, str]:
    """Check an order out.

    In one step.
    """
    receipt: str = yield ctx.schedule_activity("charge", order_id)
    return receipt


def other(ctx: Any) -> None: ...


def test_a_default_name_is_the_path_of_the_function(registry: Registry) -> None:
    assert registry.orchestration(checkout).name == f"{__name__}.checkout"
    assert registry.activity(charge).name == f"{__name__}.charge"


def test_names_and_options_are_what_the_decorator_was_given(registry: Registry) -> None:
    policy = RetryPolicy(max_attempts=5)
    made = registry.activity(
        "Charge", retry=policy, timeout=timedelta(seconds=3), total_timeout=60_000, tag="gpu", priority=2, atomic=True
    )(charge)
    flow = registry.orchestration("Checkout", version="1.1.0")(checkout)

    assert (made.name, made.retry, made.tag, made.priority, made.atomic) == ("Charge", policy, "gpu", 2, True)
    assert (made.start_to_close_ms, made.schedule_to_close_ms) == (3_000, 60_000)
    assert (flow.name, flow.version, flow.function) == ("Checkout", "1.1.0", checkout)


def test_a_decorator_with_only_options_keeps_the_default_name(registry: Registry) -> None:
    assert registry.activity(priority=1)(charge).name == f"{__name__}.charge"
    assert registry.orchestration(version="2")(checkout).name == f"{__name__}.checkout"


def test_timeouts_of_the_retry_policy_count_where_the_decorator_has_none(registry: Registry) -> None:
    policy = RetryPolicy(timeout=1_000, total_timeout=5_000)

    made = registry.activity("a", retry=policy, timeout=2_000)(charge)

    assert (made.start_to_close_ms, made.schedule_to_close_ms) == (2_000, 5_000)


def test_a_definition_looks_like_its_function(registry: Registry) -> None:
    made = registry.orchestration(checkout)

    assert (made.__name__, made.__doc__, made.__wrapped__) == ("checkout", checkout.__doc__, checkout)  # type: ignore[attr-defined]
    assert made.doc == "Check an order out.\n\nIn one step."
    assert str(made.signature) == "(order_id: 'int', note: 'str' = '')"
    assert repr(made) == f"<Orchestration {made.name} 1.0.0>"


def test_calling_an_activity_just_runs_its_function(registry: Registry) -> None:
    made = registry.activity(charge)

    assert made(7) == made(order_id=7) == "receipt-7"


def test_calling_an_async_activity_gives_its_coroutine(registry: Registry) -> None:
    import asyncio

    @registry.activity
    async def fetch(url: str) -> str:
        return url

    assert fetch.is_async
    assert asyncio.run(fetch("x")) == "x"


def test_calling_an_orchestration_says_how_to_start_it(registry: Registry) -> None:
    with pytest.raises(InvalidArgument, match=r"was called, and is started instead: use start\(\)"):
        registry.orchestration(checkout)(None, 7)


def test_the_context_of_an_activity_is_known_by_its_name_or_its_hint(registry: Registry) -> None:
    def by_name(ctx, x): ...  # type: ignore[no-untyped-def]
    def by_hint(context: ActivityContext, x: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def by_path(context: django_durable.ActivityContext) -> None: ...
    def without(x: int, ctx: int = 1) -> None: ...
    def keyword(*, ctx: int) -> None: ...

    taken = [registry.activity(each).takes_context for each in (by_name, by_hint, by_path, without, keyword)]

    assert taken == [True, True, True, False, False]
    assert registry.get_activity(by_name).encode_call((1,), {}) == "1"


@pytest.mark.parametrize(
    ("first", "second"), [("1.0.0", "1.0.1"), ("1.9", "1.10"), ("2", "10"), ("1.0.0", "1.0.0.1"), ("0.9", "1")]
)
def test_versions_are_compared_as_numbers_and_the_highest_is_the_latest(first: str, second: str) -> None:
    for order in ([first, second], [second, first]):
        registry = Registry()
        for version in order:
            registry.orchestration("flow", version=version)(_flow(version))

        assert registry.get_orchestration("flow").version == second
        assert registry.versions("flow") == [first, second]
        assert [registry.get_orchestration("flow", each).version for each in (first, second)] == [first, second]


def _flow(version: str) -> Callable[..., Any]:
    def flow(ctx: Any) -> None: ...

    flow.__qualname__ = f"flow_{version}"
    return flow


def test_a_definition_stands_for_its_own_version(registry: Registry) -> None:
    old = registry.orchestration("flow", version="1.0.0")(_flow("1"))
    new = registry.orchestration("flow", version="2.0.0")(_flow("2"))

    assert registry.get_orchestration(old) is old
    assert registry.get_orchestration(old, "2.0.0") is new
    assert [registry.get_orchestration(each.function) for each in (old, new)] == [old, new]
    assert registry.get_orchestration("flow") is new


@pytest.mark.parametrize(
    "version", ["", "1.a", "v1", "1..2", "1.", "-1", "1.0-rc1", " 1", "1\n", "\u0661", "1" * 65, None, 1]
)
def test_a_bad_version_is_refused(registry: Registry, version: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"expected whole numbers with dots, for example '1\.1\.0'"):
        registry.orchestration("flow", version=version)(checkout)


def test_trailing_zeros_make_no_other_version(registry: Registry) -> None:
    assert version_key("1") == version_key("1.0.0") != version_key("1.0.1")
    registry.orchestration("flow", version="1.0")(checkout)

    with pytest.raises(InvalidArgument, match=r"There already is an orchestration 'flow' version '1\.0\.0'"):
        registry.orchestration("flow", version="1.0.0")(other)


def test_a_name_of_other_code_is_refused_with_both_places(registry: Registry) -> None:
    registry.activity("a")(charge)
    registry.orchestration("a")(checkout)

    with pytest.raises(InvalidArgument, match=rf"There already is an activity 'a': {__name__}\.charge\. Give .*other"):
        registry.activity("a")(other)
    with pytest.raises(InvalidArgument, match="There already is an orchestration 'a' version"):
        registry.orchestration("a")(other)
    assert registry.get_activity("a").function is charge
    assert registry.get_orchestration("a").function is checkout


def test_the_same_function_imported_again_replaces_itself(registry: Registry) -> None:
    def imported() -> Callable[..., Any]:
        def flow(ctx: Any) -> None: ...

        return flow

    registry.orchestration(imported())
    again = registry.orchestration(imported())

    assert registry.orchestrations() == [again]
    assert registry.get_orchestration(again.name) is again


def test_a_decorator_around_a_function_that_keeps_its_name_is_seen_through(registry: Registry) -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    made = registry.orchestration(logged(checkout))

    assert made.name == f"{__name__}.checkout"
    assert made.encode_call((7,), {}) == "7"
    assert made.decode_call("7") == ((7,), {})


class Shop:
    def method(self, ctx: Any) -> None: ...


async def stream(ctx: Any) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (Shop.method, "Shop.method is a method. Move it out of its class"),
        (Shop, "@orchestration takes a function, found type"),
        (functools.partial(checkout, None), "takes a function, found partial"),
        (staticmethod(checkout), "takes a function, found staticmethod"),
        (stream, "stream is an async generator. Use async def with await, or def with yield"),
        (lambda ctx: None, "A lambda has no name"),
        (len, "takes a function, found builtin_function_or_method"),
        (7, "takes a function, found int 7"),
    ],
)
def test_what_is_no_plain_function_is_refused_at_decoration(registry: Registry, function: Any, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        registry.orchestration(function)

    assert words in str(caught.value)
    assert registry.orchestrations() == []


def test_an_orchestration_needs_a_context(registry: Registry) -> None:
    def nothing() -> None: ...
    def only_keywords(*, ctx: Any) -> None: ...
    def only_rest(*ctx: Any) -> None: ...

    for each in (nothing, only_keywords, only_rest):
        with pytest.raises(
            InvalidArgument, match=r"The first parameter of an orchestration is ctx: def .*\(ctx, \.\.\.\)"
        ):
            registry.orchestration(each)


def test_parameters_that_start_needs_for_itself_are_refused(registry: Registry) -> None:
    def flow(ctx: Any, instance_id: str) -> None: ...
    def other_flow(ctx: Any, *, start_at: str) -> None: ...

    for each, name in ((flow, "instance_id"), (other_flow, "start_at")):
        with pytest.raises(InvalidArgument, match=f"has a parameter '{name}', which is reserved"):
            registry.orchestration(each)


def test_an_activity_that_yields_takes_a_state(registry: Registry) -> None:
    def steps() -> Any:
        yield 1

    with pytest.raises(InvalidArgument, match=r"is a generator and takes no state"):
        registry.activity(steps)


def test_an_atomic_activity_is_not_async(registry: Registry) -> None:
    async def step() -> None: ...

    with pytest.raises(InvalidArgument, match=r"is async. An atomic activity is a plain def"):
        registry.activity(atomic=True)(step)


def test_decorating_twice_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidArgument, match="is already decorated"):
        registry.activity(registry.orchestration(checkout))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retry": 5}, "retry is 5, expected a RetryPolicy"),
        ({"timeout": -1}, "timeout is -1 ms, expected zero or more"),
        ({"timeout": 0}, "timeout is zero"),
        ({"timeout": 1.5}, "expected a timedelta or an int of milliseconds"),
        ({"total_timeout": timedelta(days=99_999)}, "the longest is a century"),
        ({"tag": ""}, "tag is '', expected text of 1 to 256 bytes"),
        ({"tag": "x" * 257}, "expected text of 1 to 256 bytes"),
        ({"tag": "default"}, "tag is 'default', which stands for activities without a tag. Leave it out."),
        ({"priority": "high"}, "priority is 'high', expected a whole number"),
        ({"priority": True}, "priority is True"),
    ],
)
def test_an_option_that_cannot_mean_anything_is_refused(
    registry: Registry, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        registry.activity("a", **options)

    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\nb", "a\x00"])
def test_a_name_that_cannot_be_shown_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected 1 to 255 printable characters"):
        registry.orchestration(name)(checkout)


def test_an_unknown_name_is_an_error_that_names_what_comes_close(registry: Registry) -> None:
    registry.activity("charge")(charge)
    registry.orchestration("Checkout")(checkout)
    registry.orchestration("Import")(other)

    with pytest.raises(
        NotRegistered, match=r"No activity 'charg' is registered in this process\. Registered: charge\."
    ):
        registry.get_activity("charg")
    with pytest.raises(NotRegistered, match=r"No orchestration 'Chekout' .* Registered: Checkout\."):
        registry.get_orchestration("Chekout")
    with pytest.raises(NotRegistered, match=r"Registered: Checkout, Import\."):
        registry.get_orchestration("zzz")


def test_an_unknown_version_is_an_error_that_names_the_known_ones(registry: Registry) -> None:
    registry.orchestration("Checkout", version="1.0.0")(checkout)

    with pytest.raises(NotRegistered, match=r"'Checkout' version '2\.0' .* Registered: Checkout 1\.0\.0\."):
        registry.get_orchestration("Checkout", "2.0")


def test_a_function_or_definition_of_another_registry_is_not_registered(registry: Registry) -> None:
    elsewhere = Registry()
    flow, step = elsewhere.orchestration(checkout), elsewhere.activity(charge)

    for ref in (flow, checkout):
        with pytest.raises(NotRegistered, match=f"No orchestration '{__name__}.checkout'"):
            registry.get_orchestration(ref)
    for ref in (step, charge):
        with pytest.raises(NotRegistered, match=f"No activity '{__name__}.charge'"):
            registry.get_activity(ref)


def test_functions_and_definitions_are_found_as_well_as_names(registry: Registry) -> None:
    flow, step = registry.orchestration("flow")(checkout), registry.activity("step")(charge)

    assert [registry.get_orchestration(ref) for ref in ("flow", flow, checkout)] == [flow] * 3
    assert [registry.get_activity(ref) for ref in ("step", step, charge)] == [step] * 3


def test_a_registry_lists_what_it_has(registry: Registry) -> None:
    for version in ("1.10", "1.2"):
        registry.orchestration("b", version=version)(_flow(version))
    registry.orchestration("a")(checkout)
    registry.activity(charge)

    assert [(each.name, each.version) for each in registry.orchestrations()] == [
        ("a", "1.0.0"),
        ("b", "1.2"),
        ("b", "1.10"),
    ]
    assert registry.names == ["a", "b"]
    assert [type(each) for each in registry.activities()] == [Activity]
    assert registry.get_orchestration("a").input_schema()["required"] == ["order_id"]
    assert registry.get_activity(charge).output_schema() == {"type": "string"}


class RecordingStarter:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start_definition(self, definition: Any, args: Any, kwargs: Any, **options: Any) -> str:
        self.calls.append((definition, args, kwargs, options))
        return "id"

    async def astart_definition(self, definition: Any, args: Any, kwargs: Any, **options: Any) -> str:
        return self.start_definition(definition, args, kwargs, **options)


def test_start_hands_the_call_to_the_bound_client(registry: Registry) -> None:
    import asyncio

    starter = RecordingStarter()
    registry.bind(starter)
    made: Orchestration[..., Any] = registry.orchestration(checkout)

    assert made.start(7) == "id"
    assert made.start(order_id=7, instance_id="order-7", start_at=NOW) == "id"
    assert asyncio.run(made.astart(7, instance_id="order-7")) == "id"
    assert starter.calls == [
        (made, (7,), {}, {}),
        (made, (), {"order_id": 7}, {"instance_id": "order-7", "start_at": NOW}),
        (made, (7,), {}, {"instance_id": "order-7"}),
    ]


def test_start_without_a_client_says_how_to_get_one(registry: Registry) -> None:
    with pytest.raises(
        InvalidArgument, match=r"No client is bound to this registry. Add 'django_durable' to INSTALLED"
    ):
        registry.orchestration(checkout).start(7)


def test_a_payload_over_the_setting_is_refused_at_the_call(registry: Registry, settings: Any) -> None:
    made = registry.activity(charge)
    settings.DJANGO_DURABLE = {"MAX_PAYLOAD_BYTES": 2_000}

    with pytest.raises(PayloadError, match=r"The result of activity .* is 2,002 bytes encoded, the limit is 2,000\."):
        made.encode_result("x" * 2_000)
    settings.DJANGO_DURABLE = {}
    assert len(made.encode_result("x" * 2_000)) == 2_002


def test_the_environment_follows_the_settings(registry: Registry, settings: Any) -> None:
    settings.DJANGO_DURABLE = {"MAX_KV_KEYS": 3, "STEPS_PER_TURN": 1_000}

    limits = registry.environment.limits

    assert (limits.kv_keys, limits.steps_per_turn, limits.kv_value_bytes) == (3, 1_000, 65_536)


def test_messages_of_orchestrations_are_logged_with_their_fields(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "django_durable.orchestration"):
        registry.environment.trace(logging.INFO, "at %s", (7,), {"instance_id": "order-7"})

    (record,) = caplog.records
    assert (record.getMessage(), record.instance_id) == ("at 7", "order-7")  # type: ignore[attr-defined]


def run(registry: Registry, name: str, payload: str) -> Execution:
    """Run one orchestration with the engine until it waits."""
    environment: Environment = registry.environment
    execution = Execution(environment)
    version = registry.get_orchestration(name).version
    started = OrchestrationStarted(name=name, version=version, input=payload, instance_id="i", execution=1, seed="s")
    execution.advance([started], now=NOW)
    return execution


def test_the_engine_runs_what_is_registered(registry: Registry) -> None:
    @registry.orchestration("sum")
    def total(ctx: Any, numbers: list[int], factor: int = 1) -> int:
        return sum(numbers) * factor

    outcome = run(registry, "sum", '{"factor":2,"numbers":[1,2]}').outcome

    assert isinstance(outcome, OrchestrationCompleted)
    assert outcome.output == "6"


@pytest.mark.parametrize("style", ["generator", "async"])
def test_an_activity_called_in_an_orchestration_is_refused_and_not_run(registry: Registry, style: str) -> None:
    called: list[int] = []

    @registry.activity("step")
    def step(order_id: int) -> None:
        called.append(order_id)

    def generator(ctx: Any) -> Generator[Any, Any, None]:
        step(7)
        yield ctx.utc_now()

    async def coroutine(ctx: Any) -> None:
        step(7)

    registry.orchestration("flow")(generator if style == "generator" else coroutine)
    outcome = run(registry, "flow", "null").outcome

    assert isinstance(outcome, OrchestrationFailed)
    assert outcome.failure.error_type.endswith(ForbiddenInOrchestration.__name__)
    assert "Calling activity 'step' directly is not allowed in an orchestration" in outcome.failure.message
    assert called == []


IMPORT = """
import sys
import django_durable
from django_durable import OrchestrationContext, RetryPolicy, activity, orchestration

@activity(retry=RetryPolicy())
def charge(order_id: int) -> str: ...

@orchestration
def checkout(ctx: OrchestrationContext, order_id: int): ...

assert checkout.encode_call((7,), {}) == "7"
assert checkout.decode_call("7") == ((7,), {})
assert charge.encode_result("x")
from django.conf import settings
needs_setup = ("django.db.models", "django_durable.store", "django_durable.models")
print([name for name in sys.modules if name.startswith(needs_setup)], settings.configured)
"""


def test_the_package_can_be_imported_and_used_before_django_is_set_up() -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, env=environment, check=False)

    assert (done.stdout, done.stderr) == ("[] False\n", "")


def test_every_exported_name_exists() -> None:
    missing = [name for name in django_durable.__all__ if getattr(django_durable, name, None) is None]

    assert missing == []
