"""Markdown by a template: ours, or one that the owner wrote.

Whatever a template prints is other people's text, and is escaped for Markdown unless it says
otherwise. It runs in a sandbox, and one that can't be used makes way for ours: a summary is
filed whatever becomes of its looks.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

from locum.errors import PermanentError
from locum.ports import Summary
from locum.rendering.text import escaped, fenced
from locum.rendering.view import view_of

_log = structlog.get_logger(__name__)

_LARGEST_TEMPLATE = 256 * 1024  # Bytes.


class TemplateProblemError(PermanentError):
    """A template that can't be read, parsed or run."""


class Renderer:
    """Renders with the template at `path`, or ours."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def markdown(self, summary: Summary) -> str:
        """Render; a template of the owner's that fails is said to, and ours takes its place."""
        if self._path is None:
            return as_markdown(summary)
        try:
            return self.rendered(summary)
        except TemplateProblemError as error:
            _log.error("template_failed", problem=str(error))
            return as_markdown(summary)

    def rendered(self, summary: Summary) -> str:
        """Render with the owner's template.

        Raises:
            TemplateProblemError: It can't be used; the message says where and why.
        """
        if self._path is None:
            return as_markdown(summary)
        try:
            with self._path.open("rb") as file:
                source = file.read(_LARGEST_TEMPLATE + 1)
            if len(source) > _LARGEST_TEMPLATE:
                raise TemplateProblemError(
                    f"The template {self._path} is larger than {_LARGEST_TEMPLATE} bytes."
                )
            return _run(_environment().from_string(source.decode()), summary)
        except UnicodeDecodeError as error:
            raise TemplateProblemError(f"The template {self._path} isn't UTF-8.") from error
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            line = getattr(error, "lineno", None)
            place = "" if line is None else f", line {line}"
            raise TemplateProblemError(
                f"The template {self._path}{place} can't be used: {error}. "
                "`locum summarise --show-template` prints ours."
            ) from error
        except OSError as error:
            raise TemplateProblemError(
                f"The template {self._path} can't be read: {error.strerror}."
            ) from error
        except RecursionError as error:
            raise TemplateProblemError(f"The template {self._path} calls itself.") from error


def as_markdown(summary: Summary) -> str:
    """Answer one screen first, then the details, with YAML front matter."""
    return _run(_ours(), summary)


def as_html(markdown: str) -> str:
    """Answer a rendered summary as the body of an HTML page; markup in it stays text.

    It fetches nothing: an image would tell its owner who reads the summary, and when.
    """
    body = markdown.removeprefix("---\n").partition("\n---\n")[2] or markdown
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    html: str = reader.render(body)
    return html


def shipped_template() -> str:
    """Answer the text of our template, for who wants to write another one."""
    source, _, _ = PackageLoader("locum.rendering").get_source(_environment(), "summary.md.j2")
    return source


@functools.cache
def _ours() -> Template:
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


def _run(template: Template, summary: Summary) -> str:
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
