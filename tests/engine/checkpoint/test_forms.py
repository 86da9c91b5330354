"""Every statement form behaves as Python's own, compiled, and stored and loaded at every suspension."""

from __future__ import annotations

import pytest

from django_durable.engine.checkpoint import dump
from django_durable.engine.errors import NotCompilable, Unstorable

from .forms import FORMS, REFUSED, UNSTORABLE, Form
from .page import PAGE, current
from .support import both, compile_durable

ALL = [form for forms in FORMS.values() for form in forms]


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.__name__)
def test_nobody_can_tell_a_form_from_pythons_own(form: Form) -> None:
    both(form)


@pytest.mark.parametrize(("form", "says"), REFUSED.values(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_form_is_refused_when_it_is_decorated(form: Form, says: str) -> None:
    with pytest.raises(NotCompilable, match=says) as refused:
        compile_durable(form)
    assert (refused.value.file, refused.value.line > form.__code__.co_firstlineno) == (form.__code__.co_filename, True)


@pytest.mark.parametrize(("form", "says"), UNSTORABLE.values(), ids=lambda each: getattr(each, "__name__", ""))
def test_what_cannot_be_stored_is_named(form: Form, says: str) -> None:
    frame = compile_durable(form)()
    frame.send(None)
    with pytest.raises(Unstorable, match="(?i)" + says.replace("(", r"\(").replace(")", r"\)")):
        dump(frame)


def test_the_forms_have_names_of_their_own() -> None:
    names = [form.__doc__ for form in ALL] + [*REFUSED, *UNSTORABLE]
    assert len(set(names)) == len(names)


def test_the_page_of_the_documentation_is_current() -> None:
    assert PAGE.read_text() == current(), "Run: python -m tests.engine.checkpoint.page"
