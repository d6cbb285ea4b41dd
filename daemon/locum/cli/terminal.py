"""What a command shows: its results on stdout, everything else on stderr.

People get tables and colour on a terminal, and plain lines that never wrap elsewhere.
Titles and names come from strangers, so nothing of them may steer a terminal. rich is
imported only where somebody sees its colours: it would be most of a short command's time.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import typer

_PATIENCE_S = 2.0
"""After so long without a word, people wonder; on a terminal a spinner turns at once."""

_SHORT = 13  #: Characters; as long as a span of two times.

_STYLES: Mapping[str, str] = {
    "join": "green",
    "ok": "green",
    "live": "green",
    "filed": "green",
    "skip": "dim",
    "warning": "yellow",
    "waiting": "yellow",
    "joining": "yellow",
    "leaving": "yellow",
    "broken": "bold red",
    "missed": "bold red",
    "failed": "bold red",
    "refused": "bold red",
    "ambiguous": "bold red",
}
"""How a cell is coloured that is one of these words."""


def plain(text: object) -> str:
    """Write control characters, and those that turn text around, as escapes."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(text)
    )


def one_line(text: object) -> str:
    return plain(" ".join(str(text).split()))


def out(text: str = "") -> None:
    """Write a line of the result."""
    typer.echo(plain(text))


def say(text: str) -> None:
    """Write a line that is not the result."""
    typer.echo(plain(text), err=True)


def out_json(value: object) -> None:
    # ASCII only: JSON's escapes are read everywhere, and hide nothing from a terminal.
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


# ── tables ───────────────────────────────────────────────────────────────────────────────


def table(rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
    """Write rows of texts, aligned; `indent` is in characters."""
    if not rows:
        return
    cleaned = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _table_in_colour(cleaned, indent)
        return
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    for row in cleaned:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out(" " * indent + "  ".join(cells).rstrip())


def _table_in_colour(rows: list[list[str]], indent: int) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in zip(*rows, strict=True):
        # On a narrow terminal the long columns give way; a time in two lines is none. A path
        # must stay whole, however narrow it is.
        is_short = max(len(cell) for cell in column) <= _SHORT
        made.add_column(overflow="fold", no_wrap=is_short)
    for row in rows:
        made.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(Padding(made, (0, 0, 0, indent)))


def heading(text: str) -> None:
    typer.secho(one_line(text), bold=True)


# ── while something takes long ───────────────────────────────────────────────────────────


@contextlib.contextmanager
def working(on: str) -> Iterator[Callable[[str], None]]:
    """Tell on stderr what the block is at; the callable tells how it gets on."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(f"{one_line(on)} …")) as spinner:
            yield lambda news: spinner.update(Text(f"{one_line(news)} …"))
        return
    patience = threading.Timer(_PATIENCE_S, say, [f"{on} …"])
    patience.daemon = True
    patience.start()

    def tell(news: str) -> None:
        patience.cancel()
        say(one_line(news))

    try:
        yield tell
    finally:
        patience.cancel()


# ── time and money ───────────────────────────────────────────────────────────────────────


def local(instant: str | datetime) -> datetime:
    """Answer an instant of JSON in this machine's time zone."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    return instant.astimezone()


def clock_time(instant: str | datetime | None) -> str:
    return "" if instant is None else f"{local(instant):%H:%M}"


def day_and_time(instant: str | datetime | None) -> str:
    return "" if instant is None else f"{local(instant):%a %d %b %H:%M}"


def length(duration: timedelta) -> str:
    """Write a duration roughly, as people say it."""
    seconds = int(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"


def dollars(amount: Any) -> str:
    return "" if amount is None else f"${amount:.2f}"
