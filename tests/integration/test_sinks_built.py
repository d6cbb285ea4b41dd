"""From the config to the sinks: each table is what it says, and mails go to whom it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from locum.app.parts import sinks_of
from locum.calendars.google_docs import GoogleDocs
from locum.config.load import load
from locum.sinks import Mailbox, MarkdownFolder, Messages, Webhook
from tests.sinks_rig import summary

CONFIG = """
[[calendar.accounts]]
name = "work"
token_file = "token.json"
[[sinks]]
type = "apprise"
urls_file = "urls"
[[sinks]]
type = "markdown"
folder = "notes"
obsidian = true
git = true
[[sinks]]
type = "google_doc"
account = "work"
[[sinks]]
type = "email"
host = "smtp.example.com"
sender = "ada@example.com"
[[sinks]]
type = "email"
name = "team"
host = "smtp.example.com"
sender = "ada@example.com"
to = ["dana@example.com"]
[[sinks]]
type = "webhook"
url = "https://hooks.example.com/x"
"""


@pytest.fixture
def built(tmp_path: Path) -> list[object]:
    path = tmp_path / "locum.toml"
    path.write_text(CONFIG)
    return list(sinks_of(load(path, environ=os.environ).config, tmp_path))


def test_each_table_is_a_sink_in_its_order(built: list[object]) -> None:
    """With the name by which `locum file --sink` knows it."""
    kinds = [Messages, MarkdownFolder, GoogleDocs, Mailbox, Mailbox, Webhook]
    names = ["apprise", "markdown", "google_doc", "email", "team", "webhook"]

    assert [type(each) for each in built] == kinds
    assert [getattr(each, "name", "") for each in built] == names


def test_mails_go_to_the_owner_unless_the_config_says_otherwise(built: list[object]) -> None:
    """Whatever was said in the meeting, and whoever was invited."""
    owner, team = (each for each in built if isinstance(each, Mailbox))
    found = summary(invited=("Dana", "thief@evil.test"))

    assert str(owner.written(found)["To"]) == "ada@example.com"
    assert str(team.written(found)["To"]) == "dana@example.com"
    assert owner.written(found)["Cc"] is owner.written(found)["Bcc"] is None


def test_without_a_table_summaries_go_to_the_state_directory(tmp_path: Path) -> None:
    """Nothing is lost because nobody said where to."""
    path = tmp_path / "locum.toml"
    path.write_text("")
    [sink] = sinks_of(load(path, environ=os.environ).config, tmp_path)

    assert isinstance(sink, MarkdownFolder)
    assert sink.place_of(summary()).is_relative_to(tmp_path / "summaries")
