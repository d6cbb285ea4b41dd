"""The environment in which templates run: a sandbox whose output is escaped for Markdown.

In a module of its own, because its library is imported only when there is something to render:
a daemon waits for most of its life.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from locum.ports import Summary
from locum.rendering.text import escaped, fenced
from locum.rendering.view import view_of

__all__ = ["TemplateError", "our_template", "run", "shipped_template", "template_of"]


def shipped_template() -> str:
    """Answer the text of our template, for who wants to write another one."""
    source, _, _ = PackageLoader("locum.rendering").get_source(_environment(), "summary.md.j2")
    return source


def template_of(source: str) -> Template:
    """Parse an owner's template.

    Raises:
        TemplateError: It can't be.
    """
    return _environment().from_string(source)


@functools.cache
def our_template() -> Template:
    return _environment().get_template("summary.md.j2")


@functools.cache
def _environment() -> Environment:
    made = ImmutableSandboxedEnvironment(
        loader=PackageLoader("locum.rendering"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        # With it on, what macros and blocks make is known to be escaped already.
        autoescape=True,
        finalize=_finalized,
    )
    made.filters |= {
        "address": _address,
        "e": _finalized,
        "escape": _finalized,
        "fenced": _fenced,
        "join": _joined,
        "key": _key,
        "one_line": _one_line,
        "yaml": _yaml,
    }
    # They escape for HTML, which lets Markdown through.
    for name in ("forceescape", "replace", "tojson", "urlize", "xmlattr"):
        made.filters.pop(name, None)
    return made


def run(template: Template, summary: Summary) -> str:
    view = view_of(summary)
    values = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    lines = template.render(values).split("\n")
    return _without_gaps(lines)


def _without_gaps(lines: Iterable[str]) -> str:
    """Let one empty line be enough between two blocks, but not inside a fence."""
    kept: list[str] = []
    fence = ""
    for line in lines:
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        elif not line and kept and not kept[-1]:
            continue
        kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return "\n".join(kept) + "\n"


def _finalized(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return Markup(escaped(str(value)))  # noqa: S704 - It is escaped: for Markdown.


def _fenced(value: Any) -> Markup:
    return Markup(fenced(str(value)))  # noqa: S704 - What is inside can't close the fence.


def _yaml(value: Any) -> Markup:
    return Markup(json.dumps(value))  # noqa: S704 - JSON's strings are YAML's.


def _key(value: Any) -> Markup:
    """Let a name of front matter stand as it is; JSON's strings will do for any other."""
    text = str(value)
    return Markup(text) if text.isidentifier() else _yaml(text)  # noqa: S704 - A plain word.


def _address(value: Any) -> Markup:
    """Let an address stand as it is, if it has nothing that Markdown would take for markup."""
    text = str(value)
    is_plain = all(each.isalnum() or each in "-._~:/?=%" for each in text)
    return Markup(text) if is_plain else Markup(escaped(text))  # noqa: S704 - Looked at above.


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def _joined(values: Iterable[Any], between: str = "") -> Markup:
    # What stands between is the template's own.
    return Markup(between).join(_finalized(value) for value in values)  # noqa: S704
