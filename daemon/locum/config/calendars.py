"""`[calendar]`: what is watched, as whom, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from locum.config.tables import Address, Duration, LocalPath, Name, PushAddress, Table
from locum.config.values import Between, parse_bind_address


class Account(Table):
    """`[[calendar.accounts]]`: one Google sign-in and the calendars read through it."""

    name: Name
    """How locum calls this sign-in: `locum auth login NAME`."""
    provider: Literal["google"] = "google"
    """Whose calendar it is."""
    calendars: tuple[str, ...] = ("primary",)
    """Calendar ids, as in Google Calendar's settings; "primary" is the account's own."""
    client_secrets: LocalPath | None = None
    """The OAuth client downloaded from the Google Cloud console (type "Desktop app")."""
    token_file: LocalPath | None = None
    """Where the sign-in is kept, as an authorized-user JSON (0600). Default: in the state directory."""
    service_account: LocalPath | None = None
    """A service account's key, instead of a personal sign-in; share the calendar with its address."""
    subject: str | None = None
    """With domain-wide delegation: the one user that the service account acts for."""
    persona: str | None = None
    """The persona for invitations to this account."""
    meet_transcripts: bool = False
    """Whether Google Meet's own transcripts are fetched after meetings. It takes a sign-in that
    allows it: `locum auth login NAME`, after this is in the config. There is one only where
    somebody with a Google Workspace plan that has it switched transcription on."""


class Push(Table):
    """`[calendar.push]`: Google tells of changes, through your reverse proxy. Off unless given.

    A message is only a reason to look, and some get lost: polls go on. Where messages are
    proved to arrive, a calendar with no meeting near is polled only every `safety_poll`.
    """

    public_url: PushAddress
    """Where Google sends messages: https, with a certificate that everybody trusts. The proxy
    passes them on with this path."""
    listen_host: Annotated[str, AfterValidator(parse_bind_address)] = "127.0.0.1"
    """The address of this machine on which the proxy finds locum. It speaks plain HTTP."""
    listen_port: int = Field(ge=1, le=65535)
    """The TCP port there."""
    ttl: Annotated[Duration, Between(least="1m", most="30d")] = timedelta(days=7)
    """How long a channel is asked for; it is renewed before it ends."""
    safety_poll: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(minutes=30)
    """Between reads of a calendar whose messages arrive, while no meeting is near: the most
    that a lost message costs. Never less than poll_idle."""


class Calendar(Table):
    """`[calendar]`: what is watched, and how often."""

    accounts: tuple[Account, ...] = ()
    """The sign-ins that are watched."""
    poll_near: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(seconds=45)
    """Between reads of a calendar with a meeting near or running: 5s at least, but on a stage."""
    poll_idle: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(minutes=5)
    """Between reads otherwise; 5s at least, but on a stage."""
    requests_per_minute: int = Field(default=540, ge=10, le=100_000)
    """The most requests in any minute for one account. Google's quota for a user is 600;
    where it isn't enough, calendars are read less often, those with a meeting near last."""
    requests_per_day: int = Field(default=900_000, ge=1000, le=1_000_000_000)
    """The most requests in any day for all accounts. Google's quota for a project is
    1,000,000 (and 10,000 a minute, of which 9,000 are used at most)."""
    delta_from: int = Field(default=21, ge=1)
    """With that many calendars, ask only for changes and read a calendar when it has some."""
    horizon: Annotated[Duration, Between(least="1h", most="14d")] = timedelta(hours=48)
    """How far ahead meetings are armed."""
    keep_refused: Annotated[Duration, Between(most="14d")] = timedelta(hours=24)
    """How long meetings stay armed whose calendar is gone, or not shared any more. A calendar
    that can't be read for any other reason keeps them without limit."""
    push: Push | None = None
    """Google's messages that something changed."""
    api_root: Address = "https://www.googleapis.com/"
    """Google's API root; another one is for a stage or a proxy (http on loopback only)."""
    token_uri: Address = "https://oauth2.googleapis.com/token"  # noqa: S105 - An address, no secret.
    """Google's token address; as above."""
