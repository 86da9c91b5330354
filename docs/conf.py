"""How Sphinx builds these pages; `make docs`."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "django_durable"
author = "the django_durable authors"
version = release = installed("django-durable-workflows")

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "django_durable"
html_static_path: list[str] = []
