"""Markdown by a template: ours, or one that the owner wrote.

Whatever a template prints is other people's text, and is escaped for Markdown unless it says
otherwise. It runs in a sandbox, and one that can't be used makes way for ours: a summary is
filed whatever becomes of its looks.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from locum.errors import PermanentError
from locum.ports import Summary

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
        from locum.rendering.environment import TemplateError, run, template_of

        try:
            with self._path.open("rb") as file:
                source = file.read(_LARGEST_TEMPLATE + 1)
            if len(source) > _LARGEST_TEMPLATE:
                raise TemplateProblemError(
                    f"The template {self._path} is larger than {_LARGEST_TEMPLATE} bytes."
                )
            return run(template_of(source.decode()), summary)
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
    from locum.rendering.environment import our_template, run

    return run(our_template(), summary)


def as_html(markdown: str) -> str:
    """Answer a rendered summary as the body of an HTML page; markup in it stays text.

    It fetches nothing: an image would tell its owner who reads the summary, and when.
    """
    body = markdown.removeprefix("---\n").partition("\n---\n")[2] or markdown
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    html: str = reader.render(body)
    return html


def shipped_template() -> str:
    """Answer the text of our template, for who wants to write another one."""
    from locum.rendering import environment

    return environment.shipped_template()
