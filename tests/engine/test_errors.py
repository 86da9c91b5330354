from __future__ import annotations

import copy
import inspect
import json
import pickle
import re

import pytest

from django_durable.engine import errors, failures
from django_durable.engine.errors import (
    ActivityError,
    ActivityTimeout,
    DurableError,
    ForbiddenInOrchestration,
    HistoryLimitExceeded,
    IllegalTransition,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidArgument,
    LeaseLost,
    LimitExceeded,
    NondeterminismError,
    NotAwaitable,
    NotRegistered,
    OrchestrationFailed,
    OutcomeError,
    PayloadError,
    StepBudgetExceeded,
    SubOrchestrationError,
    TurnTimeout,
    WaitTimeout,
)
from django_durable.engine.facts.base import failure_to_payload
from django_durable.engine.failures import Failure, type_name

FAILURE = Failure("ValueError", "no", "Traceback ...")
EXAMPLES = [
    InstanceNotFound("order-7"),
    InstanceAlreadyExists("order-7", "input"),
    IllegalTransition("order-7", "suspend", "Completed", ["Pending", "Running"], "Start it again."),
    InvalidArgument("The delay is -1 ms."),
    LimitExceeded("The number of KV keys", 151, 150),
    WaitTimeout("Not yet."),
    NotRegistered("activity", "charge", version="1.0.0", known=["pay"]),
    PayloadError("No."),
    NondeterminismError(3, "ActivityScheduled a", None, [errors.Difference("name", "a", "b")]),
    NotAwaitable(3),
    ForbiddenInOrchestration("Opening a file"),
    StepBudgetExceeded(1000),
    TurnTimeout("order-1"),
    errors.NotCompilable("shop/workflows.py", 7, "checkout", "a yield", "Return a list"),
    errors.Unstorable("variable 'lock'", "shop.workflows:checkout (line 7)", "a _thread.lock"),
    errors.CodeChanged("shop.workflows:checkout", "0123456789abcdef", "fedcba9876543210", "It has no variable total"),
    errors.CheckpointDamaged("it has no root"),
    HistoryLimitExceeded(1000, 999),
    LeaseLost("task 7"),
    ActivityError("Activity 'a'", FAILURE),
    ActivityTimeout("Activity 'a'", FAILURE),
    SubOrchestrationError("Child", FAILURE),
    OrchestrationFailed("Instance 'i'", FAILURE),
]


def classes() -> list[type[DurableError]]:
    return [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, DurableError)]


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^ {4}((?:[| ]   )*(?:[|`]-- )?)([A-Z]\w+)(?:  +.*)?$", line):
            drawn.append((len(found[1]) // 4, found[2]))
    parents = {
        name: next((above for level, above in reversed(drawn[:place]) if level == depth - 1), None)
        for place, (depth, name) in enumerate(drawn)
    }

    assert parents == {
        each.__name__: None if each is DurableError else each.__bases__[0].__name__ for each in classes()
    }


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_text_of_an_error_is_full_sentences(error: DurableError) -> None:
    assert str(error)[0].isupper()
    if not isinstance(error, OutcomeError):
        assert str(error).endswith(".")


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [copy.copy, lambda error: unpickled(pickle.dumps(error))], ids=["copy", "pickle"])
def test_an_error_survives_a_copy_with_its_text_and_attributes(error: DurableError, copied) -> None:
    twin = copied(error)

    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InstanceNotFound("i"), LookupError),
        (NotRegistered("activity", "a"), LookupError),
        (InvalidArgument("no"), ValueError),
        (LimitExceeded("x", 2, 1), ValueError),
        (PayloadError("no"), ValueError),
        (WaitTimeout("no"), TimeoutError),
        (ActivityTimeout("a", FAILURE), TimeoutError),
        (NotAwaitable(1), TypeError),
        (ForbiddenInOrchestration("x"), RuntimeError),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_error_is_caught_as_the_builtin_that_means_the_same(error: Exception, kind: type[Exception]) -> None:
    assert isinstance(error, kind)


def test_a_missing_name_is_reported_with_the_names_that_are_there() -> None:
    text = str(NotRegistered("activity", "chrage", known=["charge", "add"]))

    assert "No activity 'chrage'" in text
    assert "Registered: add, charge." in text


def test_nondeterminism_names_the_event_both_sides_and_each_field_that_differs() -> None:
    error = NondeterminismError(7, "TimerCreated", "ActivityScheduled a", [errors.Difference("name", "b", "a")])

    assert "at event 7: recorded TimerCreated, the code now requests ActivityScheduled a." in str(error)
    assert "name: recorded 'b', requested 'a'." in str(error)


def test_a_failure_keeps_type_message_and_traceback() -> None:
    failure = Failure.of(raised(ValueError("no")))

    assert (failure.error_type, failure.message) == ("ValueError", "no")
    assert "in raised" in failure.traceback
    assert str(failure) == "ValueError: no"


def test_a_failure_without_a_message_is_shown_by_its_type() -> None:
    assert str(Failure.of(KeyError())) == "KeyError"


def test_a_failure_that_passes_through_keeps_the_original_type_and_message() -> None:
    error = raised(ActivityError("Activity 'charge'", Failure("shop.Declined", "card expired")))

    assert Failure.of(error).error_type == "shop.Declined"
    assert Failure.of(error).message == "card expired"


def test_a_failure_is_cut_to_a_size_that_can_be_stored_with_its_innermost_frames() -> None:
    failure = Failure.of(raised(ValueError("x" * 100_000)))

    assert len(failure.message) == failures.MESSAGE_CHARACTERS
    assert len(failure.traceback) == failures.TRACEBACK_CHARACTERS
    assert failure.traceback.endswith("x\n")


def test_an_error_whose_text_cannot_be_had_is_described_all_the_same() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise KeyError("oops")

    assert Failure.of(raised(Odd())).message == "<str() of this error raised KeyError>"


def test_an_error_with_lone_surrogates_can_be_stored() -> None:
    failure = Failure.of(raised(ValueError("bad \ud800 text")))

    assert failure.message == "bad \\ud800 text"
    assert json.loads(failure_to_payload(failure).encode())["message"] == failure.message


def unpickled(data: bytes) -> DurableError:
    return pickle.loads(data)  # noqa: S301 - pickled one line above


class Local(Exception):
    pass


@pytest.mark.parametrize(("kind", "name"), [(ValueError, "ValueError"), (Local, f"{__name__}.Local")])
def test_builtin_errors_are_recorded_by_bare_name_and_others_by_path(kind: type[Exception], name: str) -> None:
    assert type_name(kind) == name


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught
