"""Every text that people see can be translated, and the catalogs that come along are whole and compiled.

With the tools of gettext, in `django_durable/`: `django-admin makemessages -l de --no-location --no-obsolete`, then
translate, then `django-admin compilemessages`.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

PACKAGE = Path(__file__).parents[2] / "django_durable"
CATALOGS = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
LITERAL = r"(u?(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"))"


def texts_of_code() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in MARKS:
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: {ast.unparse(node)}"
                yield node.args[0].value


def texts_of_templates() -> Iterator[str]:
    for path in PACKAGE.rglob("templates/**/*.html"):
        marked = templatize(path.read_text())
        for found in re.finditer(rf"\b(?:_|gettext|ngettext)\(\s*{LITERAL}", marked):
            yield ast.literal_eval(found[1])


def entries(path: Path) -> dict[str, list[str]]:
    """Return the texts of a catalog with their translations, of which those with a plural have several."""
    made: dict[str, list[str]] = {}
    for block in path.read_text().split("\n\n"):
        parts: list[tuple[str, str]] = []
        for line in block.splitlines():
            assert "fuzzy" not in line, line
            if line.startswith("msg"):
                keyword, _, literal = line.partition(" ")
                parts.append((keyword, ast.literal_eval(literal)))
            elif line.startswith('"'):
                parts[-1] = (parts[-1][0], parts[-1][1] + ast.literal_eval(line))
        named = dict(parts)
        if named.get("msgid"):
            made[named["msgid"]] = [text for keyword, text in parts if keyword.startswith("msgstr")]
    return made


@pytest.fixture(params=CATALOGS, ids=lambda path: path.parts[-3])
def catalog(request) -> Path:
    return request.param


def test_a_catalog_has_every_text_and_no_other(catalog):
    used = {*texts_of_code(), *texts_of_templates()}
    assert len(used) > 300
    assert entries(catalog).keys() == used


def test_every_text_is_translated_with_its_placeholders(catalog):
    def placeholders(text: str) -> list[str]:
        return sorted(re.findall(r"%\(\w+\)[sd]", text))

    for text, translated in entries(catalog).items():
        assert all(translated), text
        # Of a singular and a plural, either may spell its number out.
        assert placeholders(translated[-1]) == placeholders(text) or len(translated) > 1, text


def test_what_is_compiled_is_what_is_written(catalog):
    with catalog.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected: dict[object, str] = {}
    for text, translated in entries(catalog).items():
        if len(translated) == 1:
            expected[text] = translated[0]
        expected |= {(text, number): each for number, each in enumerate(translated) if len(translated) > 1}
    assert {key: text for key, text in compiled.items() if key} == expected


@pytest.mark.parametrize(
    ("language", "expected"), [("de", ["Übersicht", "Instanz starten", "Es gibt noch keine Instanzen."])]
)
def test_a_page_is_shown_in_the_language_of_whoever_looks(admin_client, language, expected):
    with translation.override(language):
        body = admin_client.get("/admin/django_durable/instance/").content.decode()
    assert [text for text in expected if text not in body] == []
