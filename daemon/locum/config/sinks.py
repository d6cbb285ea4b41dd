"""`[summary]` and `[[sinks]]`: how summaries are written, and where they go."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from locum.config.tables import (
    Address,
    Duration,
    Host,
    LocalPath,
    MailAddress,
    Name,
    Table,
    Tag,
)
from locum.config.values import Between


class Summaries(Table):
    """`[summary]`: how summaries are written."""

    template: LocalPath | None = None
    """A jinja2 template of your own for the Markdown (`locum summarise --show-template` prints
    ours). It runs in a sandbox; one that can't be used makes way for ours."""
    hold: Annotated[Duration, Between(most="24h")] = timedelta(minutes=30)
    """How long a mail or message waits after the meeting, where a transcript is still awaited:
    it can't be taken back. Folders and documents are filed at once, and anew."""


class MarkdownSink(Table):
    """`[[sinks]]` with `type = "markdown"`: a folder of Markdown and JSON files by date."""

    type: Literal["markdown"]
    """What kind of place this is."""
    folder: LocalPath
    """Where the files go; made if it isn't there."""
    name: Name = "markdown"
    """How locum calls this place; two of a kind need names of their own."""
    obsidian: bool = False
    """Whether notes get tags and aliases, and links to their people and series."""
    tags: tuple[Tag, ...] = ("meeting",)
    """The tags, where `obsidian` is on."""
    git: bool = False
    """Whether each filing is committed to the git repository that the folder is in. No hook
    runs, and nothing is pushed."""


class OnEvent(Enum):
    ATTACH = "attach"
    PRIVATE = "private"
    NONE = "none"


class GoogleDocSink(Table):
    """`[[sinks]]` with `type = "google_doc"`: a Google Doc in the Drive of a watched account.

    Nobody else can open it: locum never shares. It takes a sign-in that allows it: `locum auth
    login`, after this table is in the config.
    """

    type: Literal["google_doc"]
    """What kind of place this is."""
    account: str
    """The account of [[calendar.accounts]] whose Drive it is."""
    folder: str = Field(default="Meetings (locum)", min_length=1, max_length=100)
    """The Drive folder's name. locum makes one, and sees none that others made."""
    on_event: OnEvent = OnEvent.ATTACH
    """Whether the event gets the document's address. "attach" attaches it where the account
    organizes the event: guests then see that there is one, and can't open it. Where it doesn't,
    and with "private", the address goes into a field that only locum's own copy has; with
    "none" nowhere. Nobody is notified."""
    name: Name = "google_doc"
    """How locum calls this place; two of a kind need names of their own."""


class MailEncryption(Enum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"  #: On this machine itself.


class EmailSink(Table):
    """`[[sinks]]` with `type = "email"`: mails with the summary, to you alone by default."""

    type: Literal["email"]
    """What kind of place this is."""
    host: Host
    """The mail server."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port: 587 for "starttls", mostly 465 for "tls"."""
    encryption: MailEncryption = MailEncryption.STARTTLS
    """"starttls" or "tls"; "none" is for this machine only."""
    username: str = Field(default="", max_length=320)
    """Whom to log in as; empty is nobody."""
    password_file: LocalPath | None = None
    """A file with the password (chmod 600). Otherwise the systemd credential
    "smtp_password"."""
    sender: MailAddress
    """Your address: the mails come from it, and go to it."""
    to: tuple[MailAddress, ...] = Field(default=(), max_length=20)
    """Who gets them instead. Nothing in a meeting changes that."""
    name: Name = "email"
    """How locum calls this place; two of a kind need names of their own."""


class WebhookSink(Table):
    """`[[sinks]]` with `type = "webhook"`: the JSON twin, posted and signed.

    The signature is that of Standard Webhooks, which has libraries in most languages.
    """

    type: Literal["webhook"]
    """What kind of place this is."""
    url: Address
    """Where to: https, or http on this machine."""
    secret_file: LocalPath | None = None
    """A file with the secret (chmod 600): whsec_ and then 24 to 64 bytes in base64. Otherwise
    the systemd credential "webhook_secret"."""
    allow_private: bool = False
    """Whether the address may be in a private network."""
    name: Name = "webhook"
    """How locum calls this place; two of a kind need names of their own."""


class MessageSink(Table):
    """`[[sinks]]` with `type = "apprise"`: the gist, to Slack, Matrix, ntfy and a hundred more.

    Needs the extra: `pip install 'locum[notify]'`.
    """

    type: Literal["apprise"]
    """What kind of place this is."""
    urls_file: LocalPath | None = None
    """A file with one apprise address a line (chmod 600). Otherwise the systemd credential
    "message_urls"."""
    name: Name = "apprise"
    """How locum calls this place; two of a kind need names of their own."""


Sink = Annotated[
    MarkdownSink | GoogleDocSink | EmailSink | WebhookSink | MessageSink,
    Field(discriminator="type"),
]
