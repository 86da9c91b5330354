"""How Sphinx builds these pages; `make docs`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

import django

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

# The reference is made from the code, which is read as a project has it.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

project = "django_durable"
author = "the django_durable authors"
version = release = installed("django-durable-workflows")

extensions = ["myst_parser", "sphinx_copybutton", "generated"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "django_durable"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["diagrams.css", "pages.css"]
# Prompts are not copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
