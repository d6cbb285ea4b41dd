"""Messages through a real apprise to the stage's receivers: short, tame, once an address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.core.minutes import ActionItem, Claim
from locum.courier import process
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.receiver import Receiver, receiver_app
from locum.rehearsal.serving import served
from locum.sinks import Messages
from locum.sinks.texts import as_message
from tests.sinks_rig import HOSTILE_TITLES, MINUTES, QUOTE, summary

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def urls(receiver: Receiver, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "messages.urls"
    with served(receiver_app(receiver)) as server:
        host = server.base_url.removeprefix("http://")
        path.write_text(f"json://{host}/hook/one\njson://{host}/hook/two\n")
        path.chmod(0o600)
        yield path


def messages(urls: Path, **options: Any) -> Messages:
    return Messages("chat", urls, loopback_only=True, limit=timedelta(seconds=60), **options)


def written(folder: Path, text: str) -> Path:
    path = folder / "urls"
    path.write_text(text)
    return path


def opened(path: Path) -> Path:
    path.chmod(0o644)
    return path


async def test_each_address_gets_the_gist_and_where_the_rest_is(
    receiver: Receiver, urls: Path
) -> None:
    """What it came to, and what is to be done by whom; a later edition is an update."""
    sink = messages(urls, elsewhere=lambda _: ("/home/ada/meetings/sync.md",))
    where = await sink.file(summary())
    first, second = receiver.received
    await sink.file(summary(edition=2))

    assert not sink.can_revise
    assert where == "json (line 1), json (line 2)"
    assert {first.place, second.place} == {"/hook/one", "/hook/two"}
    assert first.title == "Summary: Weekly sync, 2026-11-23"
    assert receiver.received[2].title == "Summary: Update: Weekly sync, 2026-11-23"
    assert first.body.splitlines() == [
        "The budget was agreed.",
        "",
        "Decided:",
        "- Spend less on travel.",
        "",
        "To do:",
        "- Dana: Send the figures (by 2026-11-27)",
        "- Book a room",
        "",
        "Open questions: 1",
        "",
        "In full: /home/ada/meetings/sync.md",
    ]


async def test_who_has_it_isn_t_told_again_for_another_who_failed(
    receiver: Receiver, urls: Path
) -> None:
    """The second try goes to the one that is left; asked for once more, it goes to both."""
    receiver.faults.add(Fault(path="/hook/two", status=500))
    sink = messages(urls)
    with pytest.raises(TransientError, match=r"line 2"):
        await sink.file(summary())
    await sink.file(summary())
    assert sorted(each.place for each in receiver.received) == ["/hook/one", "/hook/two"]
    await sink.file(summary())
    assert len(receiver.received) == 4


async def test_an_address_off_this_machine_is_refused_on_a_stage(tmp_path: Path) -> None:
    """For good, and before anything is sent."""
    with pytest.raises(PermanentError, match="isn't on this machine"):
        await messages(written(tmp_path, "ntfys://ntfy.sh/topic\n")).file(summary())


async def test_without_addresses_or_apprise_a_person_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting, the credential and the extra are named."""
    with pytest.raises(HumanNeededError, match="Nothing says where messages go") as caught:
        await Messages("chat", None, environ={}).file(summary())
    assert "urls_file of sink chat" in caught.value.hint
    assert "message_urls" in caught.value.hint
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    [finding] = await messages(tmp_path / "none").check()
    assert finding.health is Health.BROKEN
    assert "locum[notify]" in finding.next_step


async def test_doctor_looks_at_each_address(urls: Path) -> None:
    """Nothing is sent; a file that all may read is a warning."""
    found = await messages(opened(urls)).check()

    assert [each.health for each in found] == [Health.WARNING, Health.OK, Health.OK]


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
def test_nothing_of_theirs_is_layout_a_link_or_a_mention(title: str) -> None:
    """A chat makes something of brackets, angles, at-signs and addresses."""
    claims = (Claim(f"{title} @channel <!here> [x](https://evil.test)", QUOTE),) * 3
    minutes = MINUTES.__class__(
        "extractive", tldr=claims, actions=(ActionItem(title, QUOTE, owner=title),)
    )
    head, body = as_message(summary(title=title, minutes=minutes), ())

    assert "\n" not in head
    assert not set("<>[]`|") & set(head + body)
    assert "@channel" not in body
    assert "://" not in body
    assert len(body) <= 3000


def test_what_isn_t_known_is_said() -> None:
    """Without minutes there is still a message."""
    _, body = as_message(summary(minutes=None), ("/x.md",))

    assert body == "What was said isn't known. Source: the engine.\n\nIn full: /x.md"
