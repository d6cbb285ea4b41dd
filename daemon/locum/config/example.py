"""The shipped example config: one file, in the repository and in every installation."""

from __future__ import annotations

from pathlib import Path

_SHIPPED = Path(__file__).with_name("locum.toml")
# Where the package runs from a checkout, the file lies where people look for it.
_IN_REPOSITORY = Path(__file__).parents[3] / "config" / "locum.toml"


def example_text() -> str:
    """Answer the example that `locum config init` writes."""
    place = _SHIPPED if _SHIPPED.is_file() else _IN_REPOSITORY
    return place.read_text(encoding="utf-8")
