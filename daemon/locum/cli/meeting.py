"""`locum meet`: signs the browser of our own engine in, says how that fares, and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import HUMAN_NEEDED, epilog
from locum.cli.places import AccountArgument, ConfigOption, JsonOption, read_config, state_of
from locum.cli.terminal import out, out_json, say, table, working

if TYPE_CHECKING:
    from locum.app.browsers import Browsers
    from locum.config.model import Config

_LOGIN = epilog(
    "locum meet login work",
    "locum meet login work --remote     (on a server: through a tunnel)",
    "locum meet login work --plain      (where Google refuses a driven browser)",
    exits="0 signed in, 1 Google can't be reached, 2 no such account, "
    "3 nobody signed in, or something for it is missing",
)
_STATUS = epilog(
    "locum meet status",
    "locum meet status --look --json",
    exits="0 every browser that is needed is signed in, 3 one isn't",
)
_LOGOUT = epilog(
    "locum meet logout work",
    exits="0 it is deleted, 1 a meeting is using it, 2 no such account, 3 there was none",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="meet",
        help="Sign our own engine's browser in to meetings, and out.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_LOGIN, short_help="Sign an account's browser in, once.")(login)
    group.command(epilog=_STATUS, short_help="Say which browsers are signed in.")(status)
    group.command(epilog=_LOGOUT, short_help="Delete an account's browser profile.")(logout)
    app.add_typer(group)


def login(
    *,
    name: AccountArgument = "",
    remote: Annotated[
        bool,
        typer.Option(
            "--remote",
            help="Show no window: print how to see the page from another machine, through ssh.",
        ),
    ] = False,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="A window that nothing drives; close it when you are signed in."
        ),
    ] = False,
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="For --remote; 0 takes one that is free."
        ),
    ] = 9222,
    within: Annotated[
        str, typer.Option(metavar="TIME", help="How long you have to sign in.")
    ] = "15m",
    config: ConfigOption = None,
) -> None:
    """Sign in the browser with which our own engine goes to an account's meetings.

    Once for each account: its profile is kept, for locum alone. You sign in at Google, in
    Google's page; an invited account is let in where a guest waits. It works beside a running
    daemon, and counts from the next meeting on.
    """
    import asyncio

    from locum.app.browsers import Way
    from locum.config.values import parse_duration

    if remote and plain:
        raise typer.BadParameter("--plain needs a window, and --remote has none: give one")
    try:
        limit = parse_duration(within)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    way = Way.REMOTE if remote else Way.PLAIN if plain else Way.WINDOW
    loaded = read_config(config).config
    account = _account(loaded, name)
    browsers = _browsers(loaded)
    say(f"Signing in the browser of account {account}; Ctrl-C ends it.")
    seen = asyncio.run(browsers.sign_in(account, way, within=limit, port=port, tell=say))
    known = f" as {seen.account}" if seen.account else ""
    out(f"The browser of account {account} is signed in{known}.")


def status(
    *,
    look: Annotated[
        bool,
        typer.Option(
            "--look", help="Open each browser and see, instead of what was last seen."
        ),
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say for each account whether its browser is signed in, as was last seen."""
    loaded = read_config(config).config
    if look:
        _look_at_all(loaded)
    rows = _rows(loaded)
    if json:
        out_json(rows)
    else:
        if not rows:
            say("The config names no accounts: add [[calendar.accounts]].")
        table([(row["account"], row["state"], row["detail"]) for row in rows])
        for row in rows:
            if row["next_step"]:
                say(row["next_step"])
    if any(row["needed"] and not row["signed_in"] for row in rows):
        raise typer.Exit(HUMAN_NEEDED)


def logout(name: AccountArgument = "", config: ConfigOption = None) -> None:
    """Delete an account's browser profile, and with it the sign-in on this machine.

    Google isn't told: "Your devices" in its account settings ends the sign-in there as well.
    """
    import asyncio

    loaded = read_config(config).config
    account = _account(loaded, name)
    if not asyncio.run(_browsers(loaded).forget(account)):
        say(f"The browser of account {account} was never signed in on this machine.")
        raise typer.Exit(HUMAN_NEEDED)
    out(f"The browser profile of account {account} is deleted.")


# ── what the commands share ──────────────────────────────────────────────────────────────


def _look_at_all(config: Config) -> None:
    import asyncio

    from locum.app.browsers import accounts_of
    from locum.errors import LocumError

    browsers = _browsers(config)
    for account in accounts_of(config, state_of(config)):
        if account.needed or account.note.signed_in is not None:
            with working(f"Looking at the browser of {account.name}"):
                try:
                    asyncio.run(browsers.look(account.name))
                except LocumError as error:
                    say(f"{account.name}: {error}")


def _rows(config: Config) -> list[dict[str, Any]]:
    from locum.app.browsers import accounts_of
    from locum.cli.terminal import day_and_time

    if not config.calendar.accounts:
        return []
    rows = []
    for account in accounts_of(config, state_of(config)):
        known = account.note
        words = {None: "never", True: "signed in", False: "signed out"}
        seen = f"seen {day_and_time(known.at)}" if known.at else "nobody looked yet"
        unused = "" if account.needed else "; no chromium engine goes as it"
        wanting = account.needed and not known.signed_in
        rows.append(
            {
                "account": account.name,
                "signed_in": bool(known.signed_in),
                "needed": account.needed,
                "state": words[known.signed_in],
                "seen_at": None if known.at is None else known.at.isoformat(),
                "detail": f"{seen}{unused}",
                "next_step": f"Give: locum meet login {account.name}" if wanting else "",
            }
        )
    return rows


def _browsers(config: Config) -> Browsers:
    from locum import logs
    from locum.app.browsers import Browsers
    from locum.clock import SystemClock

    logs.configure(json=None, level="error")
    return Browsers(config, state_of(config), SystemClock())


def _account(config: Config, name: str) -> str:
    """Answer the account of that name, or the only one.

    Raises:
        typer.BadParameter: There is none, or more than one.
    """
    known = [account.name for account in config.calendar.accounts]
    found = [each for each in known if name in {"", each}]
    if len(found) == 1:
        return found[0]
    if not known:
        raise typer.BadParameter("the config names no accounts: add [[calendar.accounts]]")
    if not name:
        raise typer.BadParameter(f"name one of the accounts: {', '.join(known)}")
    raise typer.BadParameter(
        f'there is no account "{name}" in the config; there is {", ".join(known)}'
    )
