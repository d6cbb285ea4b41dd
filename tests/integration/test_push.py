"""Push from end to end: Google's stage sends, the receiver hears, the calendar is read.

Rule 61 of the attendance rules: `sync` messages and wrong channel tokens are ignored, bursts
become one read, a lost message is caught by the poll.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from locum.calendars.google_push import GooglePush
from locum.core.channels import ChannelState
from locum.core.model import CalendarRef
from locum.push.bell import APART, SOON
from locum.rehearsal.faults import Fault
from tests.integration.daemon_rig import PATIENCE_S, until
from tests.integration.google_rig import ANNA, BEN, PRIMARY
from tests.integration.push_rig import IDLE, PushRig, push_rig, settings_at
from tests.ports import free_port

pytestmark = pytest.mark.anyio
BENS = CalendarRef("work", BEN)
WATCH = "/events/watch"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[PushRig]:
    async with push_rig(tmp_path) as ready:
        ready.boot()
        yield ready


# ── rule 61 ──────────────────────────────────────────────────────────────────────────────


async def test_an_edit_is_read_long_before_the_poll(rig: PushRig) -> None:
    """Seconds, though the next poll is an hour away: and from Google, not from the message."""
    await rig.open_up()
    rig.edit("Tide tables")
    await until(lambda: rig.titles() == ["Tide tables"])
    assert rig.messages("changed") == 1


async def test_rule_61_sync_messages_are_ignored(rig: PushRig) -> None:
    """They prove that messages arrive, and bring no read, however many come."""
    await rig.open_up()
    for _ in range(3):
        assert (await rig.post(rig.message(Resource_State="sync"))).status_code == 204
    await anyio.sleep(0.3)
    assert rig.reads() == 0
    assert (rig.messages("sync"), rig.messages("changed")) == (4, 0)


async def test_rule_61_wrong_tokens_and_unknown_channels_are_ignored(rig: PushRig) -> None:
    """The same plain refusal for all of them, no read, no trace of the token in the log."""
    await rig.open_up()
    wrong = [
        {"Channel_Token": "wrong"},
        {"Channel_Token": ""},
        {"Channel_Token": "x" * 5000},
        {"Channel_ID": "unknown"},
        {"Channel_ID": ""},
        {"Channel_ID": "' OR 1=1 --"},
    ]
    with capture_logs() as logs:
        answers = [await rig.post(rig.message(**change)) for change in wrong]
    assert {(each.status_code, each.text) for each in answers} == {(404, "404 Not Found\n")}
    assert [(each["event"], each["count"]) for each in logs] == [("push_messages_refused", 1)]
    assert str(rig.stage.open_channels()[0].token) not in str(logs)
    await anyio.sleep(0.3)
    assert (rig.reads(), rig.messages("refused")) == (0, 6)
    rig.advance(minutes=11)
    with capture_logs() as logs:
        await rig.post(rig.message(Channel_Token="wrong"))
    assert [(each["event"], each["count"]) for each in logs] == [("push_messages_refused", 6)]


async def test_rule_61_a_burst_becomes_one_read(rig: PushRig) -> None:
    """Fifty messages at once are one read, or two where some come while it runs."""
    await rig.open_up()
    rig.clock.hurry = 1.0  # A second to gather in, as in life.
    rig.advance(minutes=1)
    answers = await asyncio.gather(*(rig.post(rig.message()) for _ in range(50)))
    assert {each.status_code for each in answers} == {204}
    await until(rig.reads)
    await anyio.sleep(1.5)
    assert rig.reads() in {1, 2}
    assert rig.messages("changed") == 50


async def test_a_message_during_a_read_brings_exactly_one_more(
    rig: PushRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that read may have passed is seen by the next, which doesn't run beside it."""
    poll, may_end = rig.polling.poll, anyio.Event()

    async def held(calendar: CalendarRef) -> timedelta | None:
        wait = await poll(calendar)
        await may_end.wait()
        return wait

    await rig.open_up()
    monkeypatch.setattr(rig.polling, "poll", held)
    rig.edit("First")
    await until(rig.reads)
    for number in range(3):
        await rig.post(rig.message())
        rig.edit(f"More {number}")
    await until(lambda: rig.messages("changed") == 7)
    await anyio.sleep(0.2)
    assert rig.reads() == 1
    may_end.set()
    await until(lambda: len(rig.titles()) == 4)
    await anyio.sleep(0.3)
    assert rig.reads() == 2


async def test_rule_61_a_lost_message_is_caught_by_the_poll(rig: PushRig) -> None:
    """With push alive the poll is rare, and there all the same."""
    rig.pace = replace(rig.pace, idle=timedelta(seconds=5), safety=timedelta(seconds=30))
    rig.polling.change([rig.source], rig.pace)
    await rig.open_up()
    rig.wakeups.poll_after(PRIMARY, timedelta(0))
    await until(lambda: timedelta(seconds=20) < (rig.waits[-1] or IDLE) < IDLE)
    rig.stage.faults.add(Fault(path="state=exists", drop=True, times=None))
    rig.edit("Unheard of")
    await until(lambda: rig.titles() == ["Unheard of"])
    assert rig.messages("changed") == 0


async def test_late_and_doubled_messages_do_no_harm(rig: PushRig) -> None:
    """Each is a reason to look, and no more."""
    await rig.open_up()
    rig.stage.faults.add(Fault(path="state=exists", delay_s=0.4))
    rig.stage.faults.add(Fault(path="state=exists", after=True, times=2))
    rig.edit("One")
    rig.edit("Two")
    await until(lambda: rig.titles() == ["One", "Two"])
    await until(lambda: rig.messages("changed") >= 4)
    assert rig.titles() == ["One", "Two"]


# ── pace ─────────────────────────────────────────────────────────────────────────────────


async def test_only_a_proved_channel_slows_the_polls(rig: PushRig) -> None:
    """Opened isn't heard: until the first message comes, polls go on as without push."""
    rig.pace = replace(rig.pace, idle=timedelta(minutes=5), safety=timedelta(minutes=30))
    rig.polling.change([rig.source], rig.pace)
    rig.stage.faults.add(Fault(path="state=sync", drop=True))
    await rig.push.look()
    assert rig.open_ids() == [each.id for each in rig.known()]
    assert await _paced(rig) == timedelta(minutes=5)
    rig.advance(minutes=6)
    with capture_logs() as logs:
        await rig.push.look()
        await rig.push.look()
    assert [each["event"] for each in logs] == ["push_unheard"]
    rig.edit()
    await until(lambda: rig.push.covers(PRIMARY))
    assert await _paced(rig) == timedelta(minutes=30)


async def test_near_a_meeting_the_pace_is_as_without_push(rig: PushRig) -> None:
    """Near ones are near; and no slow wait passes the time when one gets near."""
    rig.pace = replace(rig.pace, idle=timedelta(minutes=5), safety=timedelta(minutes=30))
    rig.polling.change([rig.source], rig.pace)
    await rig.open_up()
    for busy_in, expected in ((14, 0.75), (16, 1), (35, 20), (46, 30), (None, 30)):
        rig.busy_in = None if busy_in is None else timedelta(minutes=busy_in)
        assert await _paced(rig) == timedelta(minutes=expected)


async def test_when_the_channel_is_gone_the_pace_goes_back_at_once(rig: PushRig) -> None:
    """It ended, and no new one can be had: the calendar is read, and then as without push."""
    rig.pace = replace(rig.pace, idle=timedelta(minutes=5), safety=timedelta(minutes=30))
    rig.polling.change([rig.source], rig.pace)
    await rig.open_up()
    rig.stage.fail(503, "backendError", path=WATCH, times=None)
    rig.advance(days=8)
    with capture_logs() as logs:
        await rig.push.look()
    events = [each["event"] for each in logs]
    assert events == ["push_unavailable", "push_silent"]
    await until(rig.reads)
    await until(lambda: rig.waits[-1] is not None and rig.waits[-1] < timedelta(minutes=6))
    assert [each.state for each in rig.known()] == [ChannelState.ASKED]


async def _paced(rig: PushRig) -> timedelta:
    """Poll once, and answer the wait without its jitter."""
    wait = await rig.polling.poll(PRIMARY)
    assert wait is not None
    for minutes in (0.75, 1, 5, 20, 30, 60):
        if abs(wait / timedelta(minutes=minutes) - 1) <= 0.11:
            return timedelta(minutes=minutes)
    return wait


# ── the channels' lives ──────────────────────────────────────────────────────────────────


async def test_a_channel_is_renewed_before_its_end_without_a_gap(rig: PushRig) -> None:
    """First the new one, then the old one's stop; every edit on the way is heard."""
    await rig.open_up()
    [first] = rig.open_ids()
    rig.advance(days=5, hours=23)
    await rig.push.look()
    assert rig.open_ids() == [first]
    rig.advance(hours=2)
    rig.stage.faults.add(Fault(path="state=sync", delay_s=0.3))
    await rig.push.look()
    assert rig.push.covers(PRIMARY)
    assert rig.open_ids()[0] == first
    assert len(rig.open_ids()) == 2
    rig.edit("Between the two")
    await until(lambda: rig.titles() == ["Between the two"])
    await until(lambda: rig.messages("sync") == 2)
    await rig.push.look()
    [second] = rig.open_ids()
    assert second != first
    assert [each.id for each in rig.known()] == [second]
    rig.edit("On the new one")
    await until(lambda: len(rig.titles()) == 2)
    rig.advance(days=2)
    rig.edit("After the old one's end")
    await until(lambda: rig.messages("changed") >= 3)


async def test_googles_shorter_end_counts(rig: PushRig) -> None:
    """What the API allows may be less than what was asked."""
    rig.stage.channels.longest = timedelta(hours=4)
    await rig.open_up()
    [channel] = rig.known()
    assert channel.expires_at == rig.clock.now() + timedelta(hours=4)
    before = rig.open_ids()
    rig.advance(hours=2, minutes=59)
    await rig.push.look()
    assert rig.open_ids() == before
    rig.advance(minutes=1)
    await rig.push.look()
    assert rig.open_ids() != before


async def test_a_restart_goes_on_with_the_channels(rig: PushRig) -> None:
    """Nothing is opened or stopped; messages are known by their tokens, and polls stay slow."""
    await rig.open_up()
    before = rig.open_ids()
    await rig.restart()
    await rig.push.look()
    assert rig.push.covers(PRIMARY)
    assert (rig.open_ids(), rig.watches()) == (before, 0)
    rig.edit("After the restart")
    await until(lambda: rig.titles() == ["After the restart"])


async def test_a_stop_in_order_keeps_the_channel_and_google_tries_again(rig: PushRig) -> None:
    """What is sent while nobody listens comes again, or is found by the first read."""
    await rig.open_up()
    await rig.halt()
    rig.edit("While it was down")
    await until(lambda: any(each.status is None for each in rig.stage.channels.sent))
    rig.boot()
    rig.run()
    await until(lambda: rig.titles() == ["While it was down"])


async def test_the_token_is_not_in_the_ledger(rig: PushRig) -> None:
    """Whoever reads a backup can't ring: only what a token is compared by is kept."""
    await rig.open_up()
    token = str(rig.stage.open_channels()[0].token)
    assert len(token) >= 43
    await rig.halt()
    for path in rig.folder.glob("ledger.db*"):
        assert token.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


async def test_a_lost_answer_leaves_no_second_channel(rig: PushRig) -> None:
    """It has no name to stop it by, until another channel's answer tells it."""
    # Google's client asks once more by itself, and is told that the id is taken.
    rig.stage.faults.add(Fault(path=WATCH, after=True))
    with capture_logs() as logs:
        await rig.push.look()
    assert "push_channel_lost" in [each["event"] for each in logs]
    await until(lambda: rig.push.covers(PRIMARY))
    assert len(rig.open_ids()) == len(rig.known()) == 1


@pytest.mark.parametrize("by_crash", [False, True], ids=["all lost", "crash"])
async def test_what_was_asked_for_in_vain_leaves_no_channel(
    rig: PushRig, *, by_crash: bool
) -> None:
    """Nobody was told that it is open: asking by its id once more shows it."""
    if by_crash:
        rig.stage.faults.add(Fault(path=WATCH, after=True, delay_s=1))
        look = asyncio.ensure_future(rig.push.look())
        await until(rig.watches)
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
        await until(rig.open_ids)
        await rig.restart()
    else:
        rig.stage.faults.add(Fault(path=WATCH, after=True, times=2))
        await rig.push.look()
        rig.advance(minutes=1)
    [lost] = rig.open_ids()
    assert [(each.id, each.state) for each in rig.known()] == [(lost, ChannelState.ASKED)]
    with capture_logs() as logs:
        await rig.push.look()
    assert "push_channel_lost" in [each["event"] for each in logs]
    await until(lambda: rig.push.covers(PRIMARY))
    [kept] = rig.open_ids()
    assert kept != lost
    assert [each.id for each in rig.known()] == [kept]


async def test_a_restored_ledgers_channels_are_opened_anew(rig: PushRig) -> None:
    """It may be older than their ends: nothing in it proves that one still rings."""
    await rig.open_up()
    [before] = rig.open_ids()
    rig.ledger.database.set_meta("recovered_at", "2026-11-23T08:00:00.000000Z")
    rig.run()
    await until(lambda: before not in rig.open_ids())
    await until(lambda: rig.push.covers(PRIMARY))
    await until(lambda: before not in [each.id for each in rig.known()])
    assert len(rig.open_ids()) == len(rig.known()) == 1


# ── reloads ──────────────────────────────────────────────────────────────────────────────


async def test_a_calendar_that_goes_takes_its_channel_with_it(rig: PushRig) -> None:
    """One that comes gets its own; the others keep theirs."""
    await rig.open_up()
    [annas] = rig.open_ids(ANNA)
    rig.change(rig.settings, "primary", BEN)
    await rig.push.look()
    assert rig.open_ids(ANNA) == [annas]
    assert len(rig.open_ids(BEN)) == 1
    await until(lambda: rig.push.covers(BENS))
    rig.change(rig.settings, BEN)
    await rig.push.look()
    assert rig.open_ids(ANNA) == []
    assert len(rig.open_ids(BEN)) == 1
    assert [each.calendar for each in rig.known()] == [BENS]


async def test_push_turned_off_leaves_nothing_behind(rig: PushRig) -> None:
    """Every channel is stopped, the port is free, and the polls are as before."""
    await rig.open_up()
    settings = rig.settings
    assert settings is not None
    rig.change(None)
    await rig.push.look()
    assert (rig.open_ids(), rig.known(), rig.push.reports()) == ([], (), ())
    assert not rig.push.covers(PRIMARY)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", settings.port)
    rig.change(settings)
    await rig.push.look()
    await until(lambda: rig.push.covers(PRIMARY))


async def test_push_left_out_at_a_start_is_still_stopped(rig: PushRig) -> None:
    """The config changed while the daemon was down; a server in trouble is asked again."""
    await rig.open_up()
    rig.settings = None
    await rig.restart()
    rig.stage.fail(503, "backendError", path="/channels/stop")
    await rig.push.look()
    assert len(rig.open_ids()) == 1
    rig.advance(minutes=1)
    await rig.push.look()
    assert (rig.open_ids(), rig.known()) == ([], ())


async def test_another_address_gets_new_channels_first(rig: PushRig) -> None:
    """A new port and path are listened on, the new channel stands, the old one is stopped."""
    await rig.open_up()
    [old] = rig.open_ids()
    rig.change(settings_at(free_port(), "/elsewhere"))
    await rig.push.look()
    [new] = rig.stage.open_channels()
    assert new.id != old
    assert new.address.endswith("/elsewhere")
    rig.edit("At the new address")
    await until(lambda: rig.titles() == ["At the new address"])


async def test_an_account_that_has_gone_lets_its_channels_end(rig: PushRig) -> None:
    """Without its sign-in nobody can stop them; they are forgotten when they are over."""
    await rig.open_up()
    await rig.halt()
    rig.boot()
    rig.push.change(rig.settings, [], [])
    rig.push._sources.clear()
    await rig.push.look()
    assert len(rig.known()) == len(rig.open_ids()) == 1
    rig.advance(days=8)
    await rig.push.look()
    assert rig.known() == ()


# ── troubles ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "reason", "again_after"),
    [
        (401, "push.webhookUrlUnauthorized", timedelta(hours=1)),
        (403, "forbidden", timedelta(hours=1)),
        (403, "rateLimitExceeded", timedelta(minutes=1)),
        (500, "backendError", timedelta(minutes=1)),
    ],
)
async def test_a_refused_channel_harms_no_poll(
    rig: PushRig, status: int, reason: str, again_after: timedelta
) -> None:
    """It is said once, tried again later, and the calendar is read as without push."""
    rig.stage.fail(status, reason, path=WATCH, times=None)
    with capture_logs() as logs:
        await rig.push.look()
        await rig.push.look()
        asked = rig.watches()
        # What was surely refused leaves no trace; what may be open is asked for again.
        assert len(rig.known()) == (again_after < timedelta(hours=1))
        rig.clock.advance(again_after)
        await rig.push.look()
    loud = [each["event"] for each in logs if each["log_level"] not in {"debug", "info"}]
    assert loud == ["push_unavailable"]
    assert rig.watches() > asked
    assert not rig.push.covers(PRIMARY)
    assert await rig.polling.poll(PRIMARY) is not None
    assert rig.ledger.calendars.states()[PRIMARY].failing_since is None
    [report] = rig.push.reports()
    assert report.problem is not None
    rig.stage.faults.clear()
    rig.advance(hours=2)
    with capture_logs() as logs:
        await rig.push.look()
    assert "push_available" in [each["event"] for each in logs]
    await until(lambda: rig.push.covers(PRIMARY))
    assert len(rig.open_ids()) == len(rig.known()) == 1


async def test_an_address_that_google_refuses_is_no_bad_sign_in(rig: PushRig) -> None:
    """Google says 401 for both: the message names the setting, not the sign-in."""
    rig.stage.fail(401, "push.webhookUrlNotHttps", path=WATCH, times=None)
    await rig.push.look()
    [report] = rig.push.reports()
    assert "calendar.push.public_url" in str(report.problem)
    assert "auth login" not in str(report.problem)


async def test_a_hanging_request_keeps_no_calendar_from_being_read(rig: PushRig) -> None:
    """Channels are asked for beside the reads, not among them."""
    await rig.pusher.aclose()
    patient = replace(rig.google.account, request_timeout=timedelta(seconds=100))
    rig.pusher = GooglePush(patient, clock=rig.clock)
    rig.change(rig.settings)
    rig.stage.faults.add(Fault(path=WATCH, delay_s=100))
    look = asyncio.ensure_future(rig.push.look())
    await until(rig.watches)
    with anyio.fail_after(PATIENCE_S):
        assert await rig.polling.poll(PRIMARY) is not None
    assert not look.done()
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)


async def test_an_answer_that_makes_no_sense_is_no_channel(rig: PushRig) -> None:
    """Whatever a captive portal says, polls go on, and it is tried again."""
    bodies = [
        "null",
        "[]",
        "{}",
        "<html>",
        '{"id": "another", "resourceId": "r", "expiration": "99999999999999"}',
        '{"resourceId": "r"}',
    ]
    for body in bodies:
        rig.stage.faults.add(Fault(path=WATCH, body=body))
        await rig.push.look()
        assert [each.state for each in rig.known()] == [ChannelState.ASKED]
        rig.advance(hours=1)
    assert rig.watches() == len(bodies)
    await rig.push.look()
    await until(lambda: rig.push.covers(PRIMARY))


async def test_a_taken_port_is_named_and_tried_again(rig: PushRig) -> None:
    """No channel is opened that nobody could hear; the daemon goes on without."""
    assert rig.settings is not None
    with socket.create_server(("127.0.0.1", rig.settings.port)):
        with capture_logs() as logs:
            await rig.push.look()
            await rig.push.look()
        [told] = logs
        assert told["event"] == "push_unavailable"
        assert f"127.0.0.1:{rig.settings.port} " in told["problem"]
        assert rig.open_ids() == []
    await rig.push.look()
    await until(lambda: rig.push.covers(PRIMARY))


async def test_messages_dont_get_round_googles_pause(rig: PushRig) -> None:
    """While Google says that it is out of quota, ringing brings no read."""
    await rig.open_up()
    rig.stage.fail(429, "rateLimitExceeded", path="/events?", times=None)
    await rig.polling.poll(PRIMARY)
    asked = rig.reads()
    rig.edit()
    await until(lambda: rig.messages("changed"))
    await anyio.sleep(0.3)
    assert rig.reads() == asked


async def test_a_full_disk_opens_nothing_and_loses_no_message(rig: PushRig) -> None:
    """What couldn't be written down isn't asked for; what rings is heard all the same."""
    rig.ledger.database.execute("PRAGMA busy_timeout = 0")
    rig.stage.faults.add(Fault(path="state=sync", drop=True))
    with rig.unwritable(), capture_logs() as logs:
        await rig.push.look()
    assert "ledger_write_failed" in [each["event"] for each in logs]
    assert rig.watches() == 0
    await rig.push.look()
    headers = rig.message()
    with rig.unwritable():
        assert (await rig.post(headers)).status_code == 204
        await until(rig.reads)
    assert not rig.push.covers(PRIMARY)
    assert (await rig.post(headers)).status_code == 204
    assert rig.push.covers(PRIMARY)


# ── the receiver ─────────────────────────────────────────────────────────────────────────


async def _raw(rig: PushRig, request: bytes, *, within: float = PATIENCE_S) -> bytes:
    assert rig.settings is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.settings.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), within)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def _request(rig: PushRig, *, first: str = "", extra: str = "", **changes: str) -> bytes:
    headers = rig.message(**changes)
    lines = [first or "POST /locum/push HTTP/1.1", "Host: x"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode("latin-1")


async def test_what_is_no_message_is_refused_plainly(rig: PushRig) -> None:
    """Wrong paths, methods, doubled and missing headers, bodies that are none; no read."""
    await rig.open_up()
    long = "X-Padding: " + "p" * 9000 + "\r\n"
    expected = {
        _request(rig, first="POST / HTTP/1.1"): b"404",
        _request(rig, first="POST /locum/push/ HTTP/1.1"): b"404",
        _request(rig, first="POST /locum/../locum/push HTTP/1.1"): b"404",
        _request(rig, first="GET /locum/push HTTP/1.1"): b"405",
        _request(rig, first="PUT /locum/push HTTP/1.1"): b"405",
        _request(rig, first="POST /locum/push"): b"400",
        _request(rig, extra="X-Goog-Channel-ID: other\r\n"): b"400",
        _request(rig, extra="x-goog-channel-token: other\r\n"): b"400",
        b"POST /locum/push HTTP/1.1\r\n\r\n": b"400",
        _request(rig, extra="Content-Length: 5000\r\n"): b"413",
        _request(rig, extra="Content-Length: 9999999999999999999999\r\n"): b"413",
        _request(rig, extra="Content-Length: -1\r\n"): b"400",
        _request(rig, extra="Content-Length: 1\r\nContent-Length: 2\r\n"): b"400",
        _request(rig, extra="Transfer-Encoding: gzip, chunked\r\n"): b"400",
        _request(rig, extra="Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"): b"400",
        _request(rig, extra="Transfer-Encoding: chunked\r\n") + b"f" * 9000: b"413",
        _request(rig, extra=long): b"400",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n": b"400",
    }
    for request, status in expected.items():
        answer = await _raw(rig, request)
        # One that is cut off while it still sends may lose the answer.
        assert answer[9:12] == status or not answer, request[:99]
        assert answer or len(request) > 8192
    await anyio.sleep(0.2)
    assert (rig.reads(), rig.messages("changed")) == (0, 0)
    assert (await rig.post(rig.message())).status_code == 204


async def test_a_body_is_dropped_unread(rig: PushRig) -> None:
    """A message may carry one; nothing in it counts, and what was heard is read at Google."""
    await rig.open_up()
    planted = b'{"items": [{"id": "planted"}]}'
    chunked = _request(rig, extra="Transfer-Encoding: chunked\r\n")
    for body in (b"0\r\n\r\n", b"1e\r\n" + planted + b"\r\n0\r\n\r\n"):
        assert (await _raw(rig, chunked + body))[9:12] == b"204"
    answer = await rig.post(rig.message(), content=planted)
    assert (answer.status_code, answer.content) == (204, b"")
    await until(rig.reads)
    assert rig.titles() == []


async def test_slow_clients_are_cut_off_and_others_are_heard(
    rig: PushRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a silent head nor a promised body holds a place for long."""
    monkeypatch.setattr("locum.httpserver._REQUEST_S", 1.5)
    await rig.open_up()
    for request in (b"POST /locum", _request(rig, extra="Content-Length: 100\r\n")):
        slow = asyncio.ensure_future(_raw(rig, request))
        assert (await rig.post(rig.message())).status_code == 204
        assert await slow == b""


async def test_a_message_after_its_channels_end_is_refused(rig: PushRig) -> None:
    """A token that leaked long ago opens nothing."""
    await rig.open_up()
    old = rig.message()
    rig.advance(days=8)
    assert (await rig.post(old)).status_code == 404


async def test_a_ledger_that_cant_be_asked_has_the_message_sent_again(rig: PushRig) -> None:
    """503 is what Google tries again after."""
    await rig.open_up()
    headers = rig.message()
    database = rig.ledger.database
    database.execute("ALTER TABLE channels RENAME TO hidden")
    assert (await rig.post(headers)).status_code == 503
    database.execute("ALTER TABLE hidden RENAME TO channels")
    assert (await rig.post(headers)).status_code == 204


def test_a_ring_waits_a_second() -> None:
    """Long enough for a burst, short enough for a person; Google is asked every 5 s at most."""
    assert timedelta(seconds=1) <= SOON <= timedelta(seconds=2)
    assert timedelta(seconds=5) == APART
