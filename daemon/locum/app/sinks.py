"""Builds the places where summaries go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import assert_never

from locum.app.accounts import google_account
from locum.calendars.google_docs import GoogleDocs, Note, Page
from locum.config.model import Config
from locum.config.sinks import EmailSink, GoogleDocSink, MarkdownSink, MessageSink, WebhookSink
from locum.ports import Clock, Summary, SummarySink
from locum.rendering import Renderer
from locum.sinks import (
    Encryption,
    Mailbox,
    MailServer,
    MarkdownFolder,
    Messages,
    SecretPlace,
    Webhook,
)
from locum.sinks.texts import as_html, heading


def sinks_of(
    config: Config,
    state_dir: Path,
    *,
    clock: Clock,
    environ: Mapping[str, str] = os.environ,
) -> tuple[SummarySink, ...]:
    """Answer the sinks; without any, summaries go to a folder of the state directory."""
    renderer = Renderer(config.summary.template)
    if not config.sinks:
        return (MarkdownFolder("markdown", state_dir / "summaries", renderer),)
    folders = tuple(
        _folder(table, renderer) for table in config.sinks if isinstance(table, MarkdownSink)
    )

    def elsewhere(summary: Summary) -> tuple[str, ...]:
        return tuple(str(folder.place_of(summary)) for folder in folders)

    made: list[SummarySink] = []
    for table in config.sinks:
        match table:
            case MarkdownSink():
                made.append(next(each for each in folders if each.name == table.name))
            case GoogleDocSink():
                made.append(_docs(table, config, state_dir, clock, renderer))
            case EmailSink():
                made.append(_mailbox(table, environ, renderer))
            case WebhookSink():
                made.append(_webhook(table, environ))
            case MessageSink():
                made.append(
                    Messages(
                        table.name,
                        table.urls_file,
                        elsewhere=elsewhere,
                        loopback_only=config.stage is not None,
                        environ=environ,
                    )
                )
            case _:
                assert_never(table)
    return tuple(made)


def _folder(table: MarkdownSink, renderer: Renderer) -> MarkdownFolder:
    return MarkdownFolder(
        table.name,
        table.folder,
        renderer,
        tags=table.tags if table.obsidian else None,
        git=table.git,
    )


def _docs(
    table: GoogleDocSink, config: Config, state_dir: Path, clock: Clock, renderer: Renderer
) -> GoogleDocs:
    account = next(each for each in config.calendar.accounts if each.name == table.account)

    def page(summary: Summary) -> Page:
        title = heading(summary).removeprefix("Update: ")
        return Page(title, as_html(renderer.markdown(summary), title=title))

    return GoogleDocs(
        table.name,
        google_account(account, config, state_dir),
        clock=clock,
        page=page,
        folder=table.folder,
        note=Note(table.on_event.value),
    )


def _mailbox(table: EmailSink, environ: Mapping[str, str], renderer: Renderer) -> Mailbox:
    password = SecretPlace(
        "the mail server's password",
        f"password_file of sink {table.name}",
        "smtp_password",
        table.password_file,
        environ,
    )
    server = MailServer(
        table.host,
        table.port,
        Encryption(table.encryption.value),
        table.username,
        password if table.username else None,
    )
    recipients = table.to or (table.sender,)
    return Mailbox(
        table.name, server, sender=table.sender, recipients=recipients, renderer=renderer
    )


def _webhook(table: WebhookSink, environ: Mapping[str, str]) -> Webhook:
    secret = SecretPlace(
        "the webhook's secret",
        f"secret_file of sink {table.name}",
        "webhook_secret",
        table.secret_file,
        environ,
    )
    return Webhook(table.name, table.url, secret, allow_private=table.allow_private)
