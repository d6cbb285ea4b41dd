"""Summaries as people and scripts read them: Markdown by a template, and a JSON twin."""

from locum.rendering.template import (
    Renderer,
    TemplateProblemError,
    as_html,
    as_markdown,
    shipped_template,
)
from locum.rendering.twin import SCHEMA_VERSION, as_json

__all__ = [
    "SCHEMA_VERSION",
    "Renderer",
    "TemplateProblemError",
    "as_html",
    "as_json",
    "as_markdown",
    "shipped_template",
]
