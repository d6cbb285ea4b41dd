"""Google sign-ins as the config has them, each with the permissions that the config needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from locum.calendars.google_token import GoogleAccount
from locum.config.calendars import Account
from locum.config.model import Config
from locum.config.sinks import OnEvent


def google_account(account: Account, config: Config, state_dir: Path) -> GoogleAccount:
    return GoogleAccount(
        name=account.name,
        calendars=account.calendars,
        token_file=account.token_file or state_dir / "google" / f"{account.name}.json",
        client_secrets=account.client_secrets,
        service_account=account.service_account,
        subject=account.subject,
        api_root=config.calendar.api_root,
        token_uri=config.calendar.token_uri,
        permissions=frozenset(_permissions(account, config)),
    )


def _permissions(account: Account, config: Config) -> Iterator[str]:
    """Answer what the config makes use of beyond reading calendars: see `PERMISSIONS`."""
    for sink in config.sinks:
        if sink.type == "google_doc" and sink.account == account.name:
            yield "docs"
            if sink.on_event is not OnEvent.NONE:
                yield "events"
    if account.meet_transcripts:
        yield "transcripts"
