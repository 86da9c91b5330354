"""What a class offers: its public methods with what they do, and the keys of the settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import timedelta

from django.utils.module_loading import import_string

from django_durable import conf
from django_durable.worker.instrumentation import COUNTED

from . import markdown


def listing(path: str, *only: str) -> Iterator[str]:
    """Yield each public method of the class at `path`, or those named, in the order of the code.

    Async twins are left out: the page says what they are. Aliases are shown with what they are another name of.
    """
    cls = import_string(path)
    shown = {name: aliases for name, aliases in named(cls) if not only or name in only}
    if missing := set(only) - set(shown):
        raise ValueError(f"{path} has no {', '.join(sorted(missing))}.")
    for name, aliases in shown.items():
        yield from entry(cls, name, aliases)


def named(cls: type) -> Iterator[tuple[str, list[str]]]:
    """Yield the class's own public methods and properties, each with its other names."""
    names: dict[int, tuple[str, list[str]]] = {}
    for name, value in vars(cls).items():
        if name.startswith("_") or is_twin(name, value):
            continue
        if inspect.isfunction(value) or isinstance(value, property):
            names.setdefault(id(value), (name, []))[1].append(name)
    for name, all_names in names.values():
        yield name, all_names[1:]


def is_twin(name: str, value: object) -> bool:
    """Tell whether a method is the async twin of another."""
    return (inspect.getdoc(value) or "").startswith("Async twin of") and name.startswith("a")


def entry(cls: type, name: str, aliases: list[str]) -> Iterator[str]:
    """Yield one method as a definition: its call, then its docstring."""
    value = getattr(cls, name)
    call = name if isinstance(value, property) else name + markdown.signature(value)
    yield from definition(f"`{call}`" + "".join(f", also `{each}`" for each in aliases), value)


def functions(module: str, *names: str) -> Iterator[str]:
    """Yield functions of a module."""
    for name in names:
        function = import_string(f"{module}.{name}")
        yield from definition(f"`{name}{markdown.signature(function)}`", function)


def definition(term: str, thing: object) -> Iterator[str]:
    """Yield a term and a docstring below it. Raises: ValueError: there is none."""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{term} has no docstring, and the reference shows it.")
    yield term
    lead = ":   "
    for paragraph in paragraphs(text):
        yield f"{lead}{paragraph}"
        yield ""
        lead = "    "


def attributes(path: str) -> Iterator[str]:
    """Yield what a class has: its docstring, and the fields of a dataclass with their defaults."""
    cls = import_string(path)
    yield f"**`{cls.__name__}`**"
    for paragraph in paragraphs(inspect.getdoc(cls) or ""):
        yield ""
        yield paragraph
    if is_dataclass(cls):
        yield ""
        rows = ((f"`{each.name}`", f"`{each.type}`", default_of(each)) for each in fields(cls))
        yield from markdown.grid(("field", "type", "default"), rows)


def default_of(field: Field[object]) -> str:
    """Return a field's default as code, nothing where it has none."""
    return "" if field.default is MISSING else f"`{shown(field.default)}`"


def counters() -> Iterator[str]:
    """Yield the names of what a worker counts."""
    yield ", ".join(f"`{name}`" for name in COUNTED) + "."


SECTIONS = r"(Args|Raises|Returns|The future raises|Attributes|Writes):"


def paragraphs(text: str) -> Iterator[str]:
    """Yield a docstring as paragraphs of Markdown; its sections become paragraphs that begin with their name."""
    text = re.sub(rf"\n(?=\s*{SECTIONS})", "\n\n", text)
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().splitlines()
        if re.fullmatch(SECTIONS, lines[0].strip()):
            yield f"*{lines[0].strip().removesuffix(':')}:* " + " ".join(items(lines[1:]))
        else:
            joined = " ".join(line.strip() for line in lines)
            yield re.sub(rf"^{SECTIONS}", lambda found: f"*{found[1]}:*", joined)


def items(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a section; names at the start of an entry as code."""
    least = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    for line in lines:
        starts = len(line) - len(line.lstrip()) == least
        match = re.match(r"([\w, *]+): (.*)", line.strip())
        if starts and match:
            names = ", ".join(f"`{name.strip()}`" for name in match[1].split(","))
            yield f"{names}: {match[2]}"
        else:
            yield line.strip()


def settings() -> Iterator[str]:
    """Yield each key of `DJANGO_DURABLE`. Raises: ValueError: one without a docstring in `conf.Settings`."""
    docs = markdown.attribute_docs(conf.Settings)
    if missing := set(conf.KEYS) - set(docs):
        raise ValueError(f"django_durable.conf.Settings documents no {', '.join(sorted(missing))}.")
    for name, key in conf.KEYS.items():
        yield f"`{name}`"
        yield f":   Default: `{shown(key.default)}`. Takes {takes(key)}."
        yield ""
        yield f"    {' '.join(docs[name].split())}"
        yield ""


def shown(value: object) -> str:
    """Return a default as one writes it in a settings module."""
    return spelled(value) if isinstance(value, timedelta) else repr(value)


def spelled(duration: timedelta) -> str:
    """Return a timedelta in its largest whole unit."""
    seconds = duration.total_seconds()
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds and seconds % length == 0:
            return f"timedelta({unit}={int(seconds // length)})"
    return f"timedelta(milliseconds={round(seconds * 1000)})" if 0 < seconds < 1 else f"timedelta(seconds={seconds:g})"


def takes(key: conf.Key) -> str:
    """Return which values a key takes."""
    if isinstance(key.least, timedelta):
        return key.expected.replace(repr(key.least), f"`{spelled(key.least)}`")
    return key.expected
