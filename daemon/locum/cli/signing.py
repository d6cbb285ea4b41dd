"""`locum auth`: lets locum read a calendar, says how that fares, and takes it back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import HUMAN_NEEDED, epilog
from locum.cli.places import (
    AccountArgument,
    ConfigOption,
    JsonOption,
    read_config,
    state_of,
    whereabouts,
)
from locum.cli.terminal import out, out_json, say, table
from locum.errors import HumanNeededError, LocumError

if TYPE_CHECKING:
    from locum.calendars.google_token import GoogleAccount
    from locum.config.model import Config

_LOGIN = epilog(
    "locum auth login",
    "locum auth login work --no-browser",
    "locum auth login work --with docs",
    exits="0 signed in, 1 Google can't be reached, 2 no such account, "
    "3 it wasn't allowed, or the OAuth client is missing",
)
_STATUS = epilog(
    "locum auth status",
    "locum auth status --json",
    exits="0 every account is signed in, 3 one isn't",
)
_REVOKE = epilog(
    "locum auth revoke work",
    exits="0 it has ended, 2 no such account, 3 there was none, or Google couldn't be told",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="auth",
        help="Sign in to the calendars, and out.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_LOGIN)(login)
    group.command(epilog=_STATUS)(status)
    group.command(epilog=_REVOKE)(revoke)
    app.add_typer(group)


def login(
    *,
    name: AccountArgument = "",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address to open.")
    ] = False,
    permit: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PERMISSION",
            help="Ask for this too: docs (file Google Docs) or events (note on an event where "
            "its summary is). What the config makes use of is asked for anyway.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let locum read the events of one Google account's calendars.

    A browser opens at Google, which sends it back to this machine. Where the browser runs
    on another machine, its last address can be pasted here. The sign-in is kept in a file
    that only you can read; it allows reading, and of the rest what the config makes use of.
    """
    account = _permitted(_account(read_config(config).config, name), permit or [])
    from locum.calendars.google_auth import sign_in

    say(f"Signing in for account {account.name}; Ctrl-C ends it.")
    found = sign_in(
        account,
        open_browser=not no_browser and _can_show_a_browser(),
        prompt=_prompt(),
        tell=say,
    )
    for warning in found.warnings:
        say(f"Warning: {warning}")
    out(f"Account {account.name} is signed in; the sign-in is kept in {account.token_file}.")
    with contextlib.suppress(LocumError):
        whereabouts(config).call("poll")
        say("The daemon that is running reads its calendars now.")


def status(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say how each account's sign-in fares, as far as its file tells.

    Nobody is asked: `locum doctor` tries them.
    """
    loaded = read_config(config)
    rows = [_status_of(account) for account in _accounts(loaded.config)]
    if json:
        out_json(rows)
    else:
        if not rows:
            say(f"{loaded.path} names no accounts: add [[calendar.accounts]].")
        table(
            [
                (row["account"], "ok" if row["signed_in"] else "broken", row["detail"])
                for row in rows
            ]
        )
        for row in rows:
            for warning in row["warnings"]:
                say(f"Warning: account {row['account']}: {warning}")
            if row["next_step"]:
                say(row["next_step"])
    if not all(row["signed_in"] for row in rows):
        raise typer.Exit(HUMAN_NEEDED)


def revoke(name: AccountArgument = "", config: ConfigOption = None) -> None:
    """End an account's sign-in, at Google and here."""
    account = _account(read_config(config).config, name)
    from locum.calendars.google_auth import revoke as end

    problem = end(account)
    if problem is not None:
        say(problem)
        raise typer.Exit(HUMAN_NEEDED)
    out(f"The sign-in of account {account.name} has ended, and its file is deleted.")


# ── accounts ─────────────────────────────────────────────────────────────────────────────


def _accounts(config: Config) -> tuple[GoogleAccount, ...]:
    from locum.app.accounts import google_account

    if not config.calendar.accounts:
        return ()  # And no need of a state directory.
    state = state_of(config)
    return tuple(google_account(each, config, state) for each in config.calendar.accounts)


def _account(config: Config, name: str) -> GoogleAccount:
    """Answer the account of that name, or the only one.

    Raises:
        typer.BadParameter: There is none, or more than one.
    """
    accounts = _accounts(config)
    found = [account for account in accounts if name in {"", account.name}]
    if len(found) == 1:
        return found[0]
    known = ", ".join(account.name for account in accounts)
    if not accounts:
        raise typer.BadParameter("the config names no accounts: add [[calendar.accounts]]")
    if not name:
        raise typer.BadParameter(f"name one of the accounts: {known}")
    raise typer.BadParameter(f'there is no account "{name}" in the config; there is {known}')


def _permitted(account: GoogleAccount, wanted: list[str]) -> GoogleAccount:
    """Answer the account with these permissions added.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    from dataclasses import replace

    from locum.calendars.google_token import PERMISSIONS

    for name in wanted:
        if name not in PERMISSIONS:
            known = ", ".join(PERMISSIONS)
            raise typer.BadParameter(f'there is no permission "{name}"; there is {known}')
    return replace(account, permissions=account.permissions.union(wanted))


def _status_of(account: GoogleAccount) -> dict[str, Any]:
    from locum.calendars.google_auth import status as stored

    row: dict[str, Any] = {
        "account": account.name,
        "signed_in": False,
        "detail": "",
        "next_step": "",
        "kind": "personal" if account.service_account is None else "service_account",
        "email": None,
        "scopes": [],
        "obtained_at": None,
        "warnings": [],
        "token_file": str(account.token_file),
    }
    try:
        found = stored(account)
    except HumanNeededError as error:
        return {**row, "detail": str(error.args[0]), "next_step": error.hint}
    return {
        **row,
        "signed_in": True,
        "detail": found.summary,
        "email": found.email,
        "scopes": list(found.scopes),
        "obtained_at": _iso(found.obtained_at),
        "warnings": list(found.warnings),
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


# ── the person at the terminal ───────────────────────────────────────────────────────────


def _can_show_a_browser() -> bool:
    """Whether a browser would open in a window, rather than take over this terminal."""
    named = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(each) for each in named)


def _prompt() -> Callable[[str], str] | None:
    """Answer what reads a pasted line; None where stdin is closed.

    Reads the descriptor itself: a thread that waits in Python's own buffer would hold its
    lock when the interpreter ends, which is a fatal error.
    """
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    pending = bytearray()

    def ask(question: str) -> str:
        typer.echo(question, err=True, nl=False)
        while b"\n" not in pending:
            chunk = os.read(descriptor, 4096)
            if not chunk:
                raise EOFError
            pending.extend(chunk)
        line, _, rest = bytes(pending).partition(b"\n")
        pending[:] = rest
        return line.decode("utf-8", "replace")

    return ask
