"""Where summaries go."""

from locum.sinks.markdown import MarkdownFolder

__all__ = ["MarkdownFolder"]
