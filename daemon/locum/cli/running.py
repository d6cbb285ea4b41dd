"""`locum run`: the daemon, in the foreground; whoever starts it keeps it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from locum.cli.ending import epilog
from locum.cli.places import ConfigOption, read_config

_EPILOG = epilog(
    "locum run",
    "locum run --config /etc/locum/locum.toml --log-json",
    "systemctl --user start locum      the same, looked after by systemd",
    exits="0 stopped in order, 1 failed (another daemon has the state directory), "
    "78 the config can't be used",
)


class Level(str, Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EPILOG)(run)


def run(
    config: ConfigOption = None,
    log_json: Annotated[
        bool | None,
        typer.Option(
            "--log-json/--no-log-json",
            help="Write the log as JSON lines. [default: unless stderr is a terminal]",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        Level, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = Level.INFO,
) -> None:
    """Watch the calendars and attend meetings until stopped.

    SIGTERM and Ctrl-C end it in order: it leaves every meeting and files what there is.
    SIGHUP, or saving the config, makes it take up the config anew. The log is on stderr.
    """
    from locum import logs

    logs.configure(json=log_json, level=log_level.value)
    logs.log_uncaught()
    loaded = read_config(config)

    import asyncio

    from locum.app.daemon import Daemon
    from locum.config.store import ConfigStore

    async def attend() -> None:
        await Daemon(ConfigStore(loaded)).run()

    asyncio.run(attend())
