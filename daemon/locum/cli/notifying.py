"""`locum notify`: whether the owner can be told anything."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import ConfigOption, JsonOption, read_config
from locum.cli.terminal import out_json, table, working
from locum.errors import HumanNeededError, LocumError

if TYPE_CHECKING:
    from locum.core.notices import Notice
    from locum.ports import Clock, NoticeTarget

_TEST = epilog(
    "locum notify test",
    "locum notify test --json | jq '.[] | select(.ok | not)'",
    exits="0 every target took it, 1 one didn't, 3 there are none, or apprise isn't installed, "
    "78 the config can't be used",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="notify",
        help="Try whether notices reach you.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("test", epilog=_TEST)(send_test)
    app.add_typer(group)


def send_test(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Send a test notice to every target, and say how it went.

    That a service took it is all that can be seen here: look whether it has arrived.
    """
    import asyncio

    from locum.app.parts import clock_of, targets_of

    loaded = read_config(config)
    if loaded.config.notify is None:
        raise HumanNeededError(
            f"{loaded.path} has no [notify].",
            hint="Add one; `locum config init --path example.toml` writes an example.",
        )
    targets = targets_of(loaded.config, os.environ)()
    notice = _notice(clock_of(loaded.config))
    with working(f"Sending to {len(targets)} target{'' if len(targets) == 1 else 's'}"):
        problems = asyncio.run(_send(targets, notice))
    if json:
        out_json(
            [
                {"target": target.name, "ok": problem is None, "problem": problem}
                for target, problem in zip(targets, problems, strict=True)
            ]
        )
    else:
        table(
            [
                (
                    "ok" if problem is None else "broken",
                    target.name,
                    "sent" if problem is None else problem.removeprefix(f"{target.name}: "),
                )
                for target, problem in zip(targets, problems, strict=True)
            ]
        )
    if any(problem is not None for problem in problems):
        raise typer.Exit(FAILED)


def _notice(clock: Clock) -> Notice:
    from locum.core.notices import Kind, Notice, Severity

    return Notice(
        key="test",
        kind=Kind.CONFIG,
        subject="",
        title="locum can reach you",
        body="This is the notice that `locum notify test` sends. Nothing is to be done.",
        severity=Severity.INFO,
        expires_at=clock.now() + timedelta(minutes=1),
    )


async def _send(targets: tuple[NoticeTarget, ...], notice: Notice) -> list[str | None]:
    import asyncio

    async def problem_of(target: NoticeTarget) -> str | None:
        try:
            await target.send(notice)
        except LocumError as error:
            return str(error)
        return None

    return list(await asyncio.gather(*(problem_of(target) for target in targets)))
