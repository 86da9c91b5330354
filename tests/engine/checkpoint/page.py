"""Writes the documentation's list of statement forms: `python -m tests.engine.checkpoint.page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django_durable.engine.checkpoint import dump
from django_durable.engine.errors import NotCompilable, Unstorable

from .forms import FORMS, REFUSED, UNSTORABLE, Form
from .support import both, compile_durable

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "checkpoints.md"
STARTS = "<!-- The lists below are written by `python -m tests.engine.checkpoint.page`. -->\n"


def lists() -> Iterator[str]:
    """Yield the lines of the lists; each form is run for its result."""
    for heading, forms in FORMS.items():
        yield f"## {heading}"
        yield ""
        yield "| form | suspensions | result |"
        yield "| --- | --- | --- |"
        yield from (f"| {form.__doc__} | {_suspensions(form)} | as Python's |" for form in forms)
        yield ""
    yield from _answers("Refused when it is decorated", "answer", REFUSED, _refusal)
    yield from _answers("Refused when a checkpoint is made", "is", UNSTORABLE, _what_is_unstorable)


def _answers(heading, column, forms, answer) -> Iterator[str]:
    yield f"## {heading}"
    yield ""
    yield f"| form | {column} |"
    yield "| --- | --- |"
    yield from (f"| {name} | {answer(form)} |" for name, (form, _) in forms.items())
    yield ""


def _suspensions(form: Form) -> int:
    return both(form).suspensions


def _refusal(form: Form) -> str:
    try:
        compile_durable(form)
    except NotCompilable as error:
        return "F" + str(error).partition("): f")[2]
    raise AssertionError(f"{form.__name__} is compiled.")


def _what_is_unstorable(form: Form) -> str:
    frame = compile_durable(form)()
    frame.send(None)
    try:
        dump(frame)
    except Unstorable as error:
        return f"{error.path[0].upper()}{error.path[1:]} is {error.kind}. {str(error).rpartition('cannot store. ')[2]}"
    raise AssertionError(f"{form.__name__} is stored.")


def current() -> str:
    """Return the page as it should be."""
    head, _, _ = PAGE.read_text().partition(STARTS)
    return f"{head}{STARTS}\n" + "\n".join(lists())


if __name__ == "__main__":
    PAGE.write_text(current())
