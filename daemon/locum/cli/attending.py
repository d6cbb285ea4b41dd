"""`locum attend`: the process of one meeting, which the daemon starts and nobody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli.ending import epilog

if TYPE_CHECKING:
    from locum.app.attend import WorkshopOf

_EPILOG = epilog(
    "locum status          tells which meetings it is in",
    "locum leave MEETING   ends one, by the daemon",
    "locum attend KEY      as the daemon gives it; by hand, it refuses",
    exits="0 the session is over, or waits in the ledger for its next attempt, 1 refused, or "
    "lost: the daemon goes on from the ledger",
)


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EPILOG, short_help="One meeting's process; the daemon starts it.")(
        attend
    )


def attend(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The session, as in the ledger.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            readable=False,
            help="For whoever looks at the list of processes: the config comes from the daemon.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Attend one meeting in a process of its own, as the daemon's child.

    The daemon starts it, for each meeting in which a browser of ours sits, and tells it on
    stdin what to do; it writes into the ledger what happens, and ends with its daemon. Started
    by hand, it refuses.
    """
    del config
    raise typer.Exit(main(key))


def main(key: str, workshop_of: Callable[[], WorkshopOf] | None = None) -> int:
    """Attend with stdin and stdout as the daemon has set them up; answers the exit status.

    Raises:
        LocumError: It is refused.
    """
    from locum import logs

    logs.configure()
    logs.log_uncaught()
    from locum.app.attend import Mouthpiece, NotADaemonsChildError, receive, run
    from locum.core.model import SessionKey
    from locum.errors import LocumError

    orders, telling = _take_pipes()
    mouthpiece = Mouthpiece(telling)
    try:
        order, lines = receive(orders)
        logs.configure(json=order.log_json, level=order.log_level)
        options = {} if workshop_of is None else {"workshop_of": workshop_of()}
        return run(SessionKey(key), order, lines, mouthpiece, **options)
    except NotADaemonsChildError:
        raise
    except LocumError as error:
        mouthpiece.last_words(str(error))
        raise


def _take_pipes() -> tuple[int, int]:
    """Take stdin and stdout for ourselves: what we start gets neither, and can't speak for us."""
    orders, telling = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return orders, telling
