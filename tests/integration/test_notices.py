"""The owner is told: each thing once, in time, whatever dies, hangs or fills up."""

from __future__ import annotations

import logging
import os
import resource
import stat
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from dateutil.tz import UTC

from locum import notifying
from locum.app.commands import Commands
from locum.core.model import EndReason, EventStatus, Mark, Phase
from locum.core.money import Caps
from locum.core.notices import Kind, Notice, Severity
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ledger import Database, Ledger, Outcome, Purse
from locum.notify import INSTALL, Targets, find_urls, urls_file_problem
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.receiver import Receiver
from tests.integration.daemon_rig import daemon_rig, room, seconds, until
from tests.integration.notices_rig import (
    BEFORE,
    TOKEN,
    Owner,
    Pigeonhole,
    compile_apprise,
    owner_of,
    receiving,
)
from tests.unit.test_notices import asked

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

FAST = PikaSettings(ready_after=seconds(2))
NOTICE = Notice(
    key="test",
    kind=Kind.MISSED,
    subject="",
    title="Missed",
    body="A meeting.",
    severity=Severity.FAILURE,
    expires_at=datetime(2026, 11, 24, tzinfo=timezone.utc),
)
AHEAD = 640.0
"""Seconds until a meeting whose notice comes due almost at once."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="module")
def apprise_is_compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    compile_apprise(tmp_path_factory.mktemp("apprise"))


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less between tries than people would like."""
    monkeypatch.setattr(notifying, "_FIRST_RETRY_S", 0.2)
    monkeypatch.setattr(notifying, "_PAUSE_S", 0.02)


def _all_tried(owner: Owner) -> bool:
    """Whether each target was tried for the one notice."""
    tried = [each.attempts > 0 for each in owner.deliveries()]
    return len(tried) == 2 and all(tried)


def ways(receiver: Receiver) -> list[str]:
    return sorted(each.way for each in receiver.received)


# ── through the real apprise ─────────────────────────────────────────────────────────────


async def test_both_targets_are_told_before_the_join(tmp_path: Path) -> None:
    """A phone and a webhook get the same words: when, why, at what cost, and the way out."""
    with receiving(tmp_path) as (receiver, targets):
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            event = rig.show("7k2q@google.com", starts_in=AHEAD, title="Budget [round](x)")
            await until(lambda: len(receiver.received) == 2)
            assert rig.clock.now() < event.start - rig.policy.lead
            phone, hook = sorted(receiver.received, key=lambda each: each.way, reverse=True)
            assert (phone.way, phone.place) == ("ntfy", "phone")
            assert (hook.way, hook.place) == ("json", f"/hook/{TOKEN}")
            assert (phone.title, phone.body) == (hook.title, hook.body)
            assert phone.title == f'Going to "Budget (round)(x)" at {event.start:%H:%M}'
            assert "Why: the account accepted it." in phone.body
            assert "Costs at most $3.02." in phone.body
            assert phone.body.endswith("or: locum skip 7k2q@google.com")
            assert hook.severity == "info"


async def test_once_although_it_is_killed_again_and_again(tmp_path: Path) -> None:
    """Killed before it could be sent, and after it was: each target has it exactly once."""
    with receiving(tmp_path) as (receiver, targets):
        receiver.faults.add(Fault(status=503, times=None))
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            rig.show(starts_in=AHEAD)
            await until(lambda: _all_tried(owner))
            await owner.crash()
            assert receiver.received == ()
            receiver.faults.clear()
            for _ in range(3):
                owner.begin()
                await until(lambda: not rig.ledger.notices.waiting_targets())
                await owner.crash()
            assert ways(receiver) == ["json", "ntfy"]


async def test_a_receiver_that_was_down_gets_it_when_it_is_up(tmp_path: Path) -> None:
    """Refused twice, then taken: once; the other target didn't wait for it."""
    with receiving(tmp_path) as (receiver, targets):
        receiver.faults.add(Fault(path="hook", status=500, times=2))
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            rig.show(starts_in=AHEAD)
            await until(lambda: len(receiver.received) == 2)
            await until(lambda: not rig.ledger.notices.waiting_targets())
            assert [each.way for each in receiver.received] == ["ntfy", "json"]
            assert sorted(each.attempts for each in owner.deliveries()) == [1, 3]


async def test_a_receiver_that_hangs_delays_no_join(tmp_path: Path) -> None:
    """One takes the message and never answers: it is in the room before that has ended."""
    with receiving(tmp_path) as (receiver, targets):
        patient_in(tmp_path)
        receiver.faults.add(Fault(path="/?", delay_s=60, times=None))
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            rig.show(starts_in=600, lasts=3000)
            await until(lambda: ways(receiver) == ["json"])
            rig.leap(seconds(600))
            await until(lambda: rig.phases() == (Phase.LIVE,))
            outcomes = {each.target[:4]: each.outcome for each in owner.deliveries()}
            assert outcomes == {"json": Outcome.SENT, "ntfy": None}
            assert rig.joins() == 1


def patient_in(folder: Path) -> None:
    """Let a read take a minute: apprise itself would give up after four seconds."""
    urls = folder / "notify.urls"
    urls.write_text(urls.read_text().replace("?token", "?rto=60&token"))


async def test_an_answer_that_drips_is_cut_off(tmp_path: Path) -> None:
    """A byte now and then keeps every read alive; the process that waits for it is ended."""
    with receiving(tmp_path) as (receiver, found):
        receiver.faults.add(Fault(drip_s=0.2, times=None))
        for limit_s in (3, 9, 27, 81):
            target, _ = Targets(found._urls_file, limit=timedelta(seconds=limit_s))()
            with pytest.raises(TransientError, match=f"not delivered within {limit_s} s"):
                await target.send(NOTICE)
            if receiver.received:  # On a busy machine it may not even have begun.
                break
        assert ways(receiver) == ["ntfy"]


async def test_an_answer_without_an_end_costs_the_daemon_nothing(tmp_path: Path) -> None:
    """What comes is kept by a process with little memory, not by us."""
    with receiving(tmp_path) as (receiver, targets):
        target, _ = targets()
        receiver.faults.add(Fault(endless=True, drip_s=0.0001, times=None))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        others_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        with pytest.raises(TransientError, match="the answer has no end"):
            await target.send(NOTICE)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        children_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert grown_kib < 64 * 1024
        # The figure is that of the largest child that there ever was, of any test's.
        assert children_kib < 400 * 1024 or children_kib == others_kib


async def test_too_late_is_dropped_and_written_down(tmp_path: Path) -> None:
    """Nobody could be told until the join: the notice is worth nothing any more."""
    with receiving(tmp_path) as (receiver, targets):
        receiver.faults.add(Fault(status=503, times=None))
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            rig.show(starts_in=600, lasts=3000)
            await until(lambda: _all_tried(owner))
            rig.leap(seconds(600))
            await until(
                lambda: {each.outcome for each in owner.deliveries()} == {Outcome.EXPIRED}
            )
            receiver.faults.clear()
            await until(lambda: rig.phases() == (Phase.LIVE,))
            assert all(each.problem for each in owner.deliveries())
            assert not rig.ledger.notices.waiting_targets()
            assert receiver.received == ()


async def test_secrets_are_in_no_log_and_not_in_the_ledger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused by its token, and by its address: what is said names neither."""
    caplog.set_level(logging.DEBUG)
    with receiving(tmp_path) as (receiver, targets), structlog.testing.capture_logs() as logs:
        receiver.token = "another"
        receiver.faults.add(Fault(path="hook", status=404, times=None))
        # Whoever knows a topic may read it: apprise names it where it isn't taken.
        urls = tmp_path / "notify.urls"
        urls.write_text(urls.read_text().replace("/phone", f"/{TOKEN}"))
        async with (
            daemon_rig(tmp_path, pika=FAST, speed=10.0) as rig,
            owner_of(rig, targets) as owner,
        ):
            owner.begin()
            rig.show(starts_in=AHEAD)
            await until(lambda: _all_tried(owner))
            problems = [each.problem or "" for each in owner.deliveries()]
            await owner.crash()
        told = "\n".join([*map(repr, logs), caplog.text, *problems])
        assert "unauthorized" in told
        assert "error=404" in told
        assert TOKEN not in told
        assert "canary" not in repr(targets()).casefold()
        assert TOKEN.encode() not in _bytes_of_ledger(tmp_path)


def _bytes_of_ledger(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("ledger.sqlite3*"))


async def test_a_process_that_sends_ends_with_the_daemon(tmp_path: Path) -> None:
    """Left alone it would deliver what the next daemon sends again."""
    with receiving(tmp_path) as (receiver, targets):
        patient_in(tmp_path)
        target, _ = targets()
        receiver.faults.add(Fault(delay_s=60))
        code = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from locum.notify import Targets\n"
            "from tests.integration.test_notices import NOTICE\n"
            "asyncio.run(Targets(Path(sys.argv[1]))()[0].send(NOTICE))\n"
        )
        process = await anyio.open_process(
            [sys.executable, "-c", code, str(tmp_path / "notify.urls")], cwd=ROOT
        )
        await until(lambda: receiver.log.count == 1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        [child] = await anyio.to_thread.run_sync(lambda: children.read_text().split())
        process.kill()
        await process.wait()
        await until(lambda: not Path(f"/proc/{child}/exe").exists())
        assert target.id.startswith("ntfy")


def test_the_ledger_takes_a_notice_once(tmp_path: Path) -> None:
    """Put twice, it is sent once; what was sent is never withdrawn nor sent again."""
    ledger = Ledger(Database(tmp_path / "ledger.sqlite3"))
    at = datetime(2026, 11, 23, tzinfo=timezone.utc)
    ledger.notices.put([NOTICE], ["phone", "mail"], at=at)
    [_, phone] = ledger.notices.of(NOTICE.key)
    ledger.notices.settle(phone, Outcome.SENT, at=at)
    ledger.notices.put([NOTICE], ["phone", "mail", "new"], at=at)
    ledger.notices.withdraw([NOTICE.key], at=at)
    ledger.notices.settle(phone, Outcome.EXPIRED, at=at)

    outcomes = {each.target: each.outcome for each in ledger.notices.of(NOTICE.key)}
    assert outcomes == {"phone": Outcome.SENT, "mail": Outcome.WITHDRAWN}
    assert [each.reached for each in ledger.notices.told(at)] == [{"phone"}]
    ledger.close()


def test_the_ledger_forgets_what_is_long_over(tmp_path: Path) -> None:
    """Month-old notices go; a trouble that still lasts is remembered, or it would be told anew."""
    ledger = Ledger(Database(tmp_path / "ledger.sqlite3"))
    at = datetime(2026, 11, 23, tzinfo=timezone.utc)
    lasting = replace(NOTICE, key="calendar/a@1", kind=Kind.CALENDAR, subject="a")
    ended = replace(NOTICE, key="calendar/b@1", kind=Kind.CALENDAR, subject="b")
    over = replace(ended, key="calendar/b@1/over")
    ledger.notices.put([NOTICE, lasting, ended, over], ["phone"], at=at)

    ledger.notices.forget(at + timedelta(days=1))

    assert [each.key for each in ledger.notices.told(at)] == ["calendar/a@1"]
    assert len(ledger.notices.told(at + timedelta(days=9))) == 1
    ledger.close()


# ── what there is to send to ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ntfy://ntfy.example.com/topic", "use ntfys://"),
        ("json://192.168.1.4/hook", "use jsons://"),
        ("jsons://127.0.0.1/hook?verify=no", "check of certificates"),
        ("nothing://like/that", "can't use this address"),
    ],
)
async def test_an_unsafe_address_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    """Neither plain text to another machine, nor TLS that isn't checked; the check says so."""
    path = tmp_path / "urls"
    path.write_text(f"{line}\n")
    [target] = Targets(path)()

    [finding] = await target.check()

    assert problem in finding.detail
    assert line not in repr(finding)


async def test_on_a_stage_nothing_leaves_this_machine(tmp_path: Path) -> None:
    """A rehearsal with a real phone's address tells nobody."""
    path = tmp_path / "urls"
    path.write_text("ntfys://ntfy.sh/topic\n")
    [target] = Targets(path, loopback_only=True)()

    [finding] = await target.check()

    assert "a [stage] must have nothing else" in finding.detail


@pytest.mark.parametrize(
    "content",
    [b"", b"# only words\n", b"ntfy:/x\n", b"no address\n", b"a://" + b"x" * 5000, b"\xff\xfe://x",
     b"x" * 70_000, b"json://a\n" * 40, b"js\x00on://x", "json://a\u202eb".encode()],
)  # fmt: skip
def test_a_file_of_addresses_that_is_none(tmp_path: Path, content: bytes) -> None:
    """Told by its line or its size, never by what stands there."""
    path = tmp_path / "urls"
    path.write_bytes(content)

    with pytest.raises(HumanNeededError) as caught:
        find_urls(path, {})

    assert str(path) in str(caught.value)
    assert "\x00" not in str(caught.value)


def test_a_pipe_is_no_file_of_addresses(tmp_path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "urls")

    with pytest.raises(HumanNeededError, match="is no file"):
        find_urls(tmp_path / "urls", {})


def test_addresses_come_from_the_credential_where_no_file_is_named(tmp_path: Path) -> None:
    """A systemd credential is enough; a named file goes before it."""
    (tmp_path / "notify_urls").write_text("json://127.0.0.1/a\n")
    (tmp_path / "mine").write_text("ntfys://topic\n# no\nntfys://topic\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    assert [line.scheme for line in find_urls(None, environ)] == ["json"]
    assert [target.name for target in Targets(tmp_path / "mine", environ=environ)()] == [
        "ntfys (line 1)"
    ]
    with pytest.raises(HumanNeededError, match="can't be read"):
        find_urls(tmp_path / "gone", environ)
    with pytest.raises(HumanNeededError, match="Nothing says where"):
        find_urls(None, {})


def test_a_file_that_all_may_read_is_told(tmp_path: Path) -> None:
    """It is a secret like any other."""
    path = tmp_path / "urls"
    path.touch(0o600)
    assert urls_file_problem(path) is None
    path.chmod(0o644)
    assert "mode 0644" in str(urls_file_problem(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_edit_of_the_file_counts_at_once(tmp_path: Path) -> None:
    """No reload is needed for another phone; the same one keeps its name."""
    path = tmp_path / "urls"
    path.write_text("ntfys://one\n")
    targets = Targets(path)
    [first] = targets()
    assert targets()[0] is first
    path.write_text("# moved\nntfys://one\nntfys://two\n")

    again, second = targets()

    assert again.id == first.id
    assert again.id != second.id
    assert "one" not in first.id


async def test_without_apprise_it_attends_and_says_what_to_do(tmp_path: Path) -> None:
    """The extra is missing: told once in the log, with the command; meetings go on."""
    path = tmp_path / "urls"
    path.write_text("ntfys://topic\n")
    targets = Targets(path, is_installed=lambda: False)
    with structlog.testing.capture_logs() as logs:
        async with daemon_rig(tmp_path, pika=FAST) as rig, owner_of(rig, targets) as owner:
            owner.begin()
            rig.show(starts_in=20)
            await until(lambda: rig.phases() == (Phase.LIVE,))
            assert INSTALL in owner.notifications.problem
    [told] = [each for each in logs if each["event"] == "notices_unavailable"]
    assert "pip install 'locum[notify]'" in told["problem"]


# ── what is told, by the whole daemon ────────────────────────────────────────────────────


@pytest.fixture
def hole() -> Pigeonhole:
    return Pigeonhole()


async def test_the_loop_wakes_for_it(tmp_path: Path, hole: Pigeonhole) -> None:
    """A timer stands at the instant, not only the ticker's next round."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        event = rig.show(starts_in=7200)
        rig.controller.pass_once()
        due = event.start - rig.policy.lead - BEFORE
        assert due in rig.wakeups._armed
        assert hole.notices == []


async def test_moved_cancelled_and_skipped(tmp_path: Path, hole: Pigeonhole) -> None:
    """Every change of mind arrives, in order, and none twice."""
    async with daemon_rig(tmp_path, speed=20) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        event = rig.show(starts_in=AHEAD)
        assert event.end is not None
        await until(lambda: hole.kinds() == [Kind.BEFORE])
        later = timedelta(hours=3)
        rig.edit(start=event.start + later, end=event.end + later)
        await until(lambda: hole.kinds()[1:] == [Kind.CALLED_OFF])
        rig.edit(start=event.start, end=event.end)
        await until(lambda: hole.kinds()[2:] == [Kind.BEFORE])
        rig.controller.mark(event.occurrence, Mark.SKIP)
        await until(lambda: hole.kinds()[3:] == [Kind.CALLED_OFF])
        assert "you said to skip it" in hole.notices[-1].body
        rig.controller.mark(event.occurrence, None)
        await until(lambda: hole.kinds()[4:] == [Kind.BEFORE])
        rig.edit(status=EventStatus.CANCELLED)
        await until(lambda: hole.kinds()[5:] == [Kind.CALLED_OFF])
        await owner.crash()
        owner.begin()
        await until(lambda: not rig.ledger.notices.waiting_targets())
        assert len(hole.notices) == 6


async def test_what_a_persona_asks_for_reaches_the_owner_who_answers(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """The request that a meeting's process wrote is told once; the answer counts once."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        now = rig.clock.now()
        request = asked(at=now, expires_at=now + timedelta(hours=6))
        rig.ledger.requests.put(request)
        rig.controller.ask()
        await until(lambda: hole.kinds() == [Kind.APPROVAL])
        assert f"locum approve {request.id}" in hole.notices[0].body
        nothing: Any = None
        commands = Commands(
            ledger=rig.ledger, clock=rig.clock, controller=rig.controller, desk=nothing,
            config=nothing, reload=nothing, poll_soon=nothing, keeper=nothing, paces=nothing,
            push=nothing, memory={}, transcript_troubles=nothing,
        )  # fmt: skip
        decide = commands.decide
        with pytest.raises(PermanentError, match='no request "other"'):
            await decide({"request": "other", "approve": True})
        assert await decide({"request": request.id, "approve": "yes"}) == {
            "request": request.id,
            "approved": False,
        }
        with pytest.raises(PermanentError, match="is denied"):
            await decide({"request": request.id, "approve": True})
        assert len(hole.notices) == 1


async def test_what_is_cancelled_before_it_could_be_sent_is_never_sent(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """Withdrawn, not contradicted."""
    hole.fails = TransientError("down")
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        rig.show(starts_in=AHEAD)
        await until(owner.deliveries)
        rig.edit(status=EventStatus.CANCELLED)
        await until(lambda: owner.deliveries()[0].outcome is Outcome.WITHDRAWN)
        hole.fails = None
        rig.show("other", starts_in=AHEAD, code="xyz-wxyz-xyz")
        await until(hole.titles)
        assert [each.name for each in hole.notices] == ["Meeting other"]


async def test_a_meeting_missed_while_it_was_down(tmp_path: Path, hole: Pigeonhole) -> None:
    """Killed before the join, back after the end: told then, once."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        rig.show(starts_in=500, lasts=60)
        await until(lambda: hole.kinds() == [Kind.BEFORE])
        await owner.crash()
        rig.leap(seconds(561))
        for _ in range(2):
            owner.begin()
            await until(lambda: rig.phases() == (Phase.MISSED,))
            await until(lambda: hole.kinds() == [Kind.BEFORE, Kind.MISSED])
            await owner.crash()
        assert hole.titles()[-1] == 'Missed "Meeting sync"'


async def test_what_ended_before_notices_were_wanted_is_not_told(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """Turned on today, it doesn't tell of yesterday; turned off and on, not of meanwhile."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        rig.show(starts_in=5, lasts=1)
        await until(lambda: rig.records() and not rig.record.is_open)
        await rig.crash()
        async with owner_of(rig, [hole]) as owner:
            owner.begin()
            rig.show("b", starts_in=AHEAD, code="xyz-wxyz-xyz")
            await until(lambda: hole.kinds() == [Kind.BEFORE])
            owner.notifications.change(None)
            await until(lambda: rig.ledger.database.meta("notices_since") is None)
            owner.notifications.change(owner.targets)
            await until(lambda: rig.ledger.database.meta("notices_since") is not None)
            assert hole.kinds() == [Kind.BEFORE]


async def test_too_few_credits_are_told_while_they_can_be_bought(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """Half an hour ahead, with the link; and not again when the join is refused."""
    pika = PikaSettings(ready_after=seconds(2), balance=Decimal(4))
    async with daemon_rig(tmp_path, pika=pika) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        ahead = timedelta(minutes=30)
        rig.controller.change_setting(rig.setting(notice=BEFORE, funds_ahead=ahead))
        rig.show(starts_in=60)
        await until(lambda: Kind.CREDITS in hole.kinds())
        notice = next(each for each in hole.notices if each.kind is Kind.CREDITS)
        assert "4 credits left" in notice.body
        assert "https://" in notice.body or "http://127.0.0.1" in notice.body
        await until(rig.waits_to_retry)
        await until(lambda: rig.record.attempts > 1)
        assert hole.kinds().count(Kind.CREDITS) == 1


async def test_over_budget_is_told_once(tmp_path: Path, hole: Pigeonhole) -> None:
    """Which cap, at the join; however often it is asked again."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole], before=seconds(0)) as owner:
        owner.begin()
        caps = Caps.of_dollars(per_meeting=1.0)
        purse = Purse(rig.ledger.database, caps, max_length=rig.policy.max_length, zone=UTC)
        rig.controller.change_setting(rig.setting(purse=purse))
        rig.show(starts_in=10)
        await until(lambda: hole.kinds() == [Kind.OVER_BUDGET])
        assert "Why: over budget: at most $1.00 a meeting" in hole.notices[0].body
        for _ in range(5):
            rig.controller.pass_once()
        await until(lambda: not rig.ledger.notices.waiting_targets())
        assert len(hole.notices) == 1


async def test_a_lost_join_is_told_with_its_room(tmp_path: Path, hole: Pigeonhole) -> None:
    """It may be running and cost money: where to look."""
    never = seconds(0)
    async with (
        daemon_rig(tmp_path, speed=600.0) as rig,
        owner_of(rig, [hole], before=never) as owner,
    ):
        rig.fault(path="/proxy/realtime/meeting-session", method="POST", after=True)
        owner.begin()
        rig.show(starts_in=40, lasts=3600)
        await until(lambda: Kind.ORPHAN in hole.kinds())
        assert rig.record.end_reason is EndReason.LOST_JOIN
        assert f"Room: {rig.record.room.url}" in hole.notices[0].body


async def test_an_engine_taken_out_leaves_one_running(tmp_path: Path, hole: Pigeonhole) -> None:
    """Restarted without the engine of a live session: told that nobody can end it."""
    never = seconds(0)
    async with (
        daemon_rig(tmp_path, pika=FAST) as rig,
        owner_of(rig, [hole], before=never) as owner,
    ):
        owner.begin()
        rig.show(lasts=3000)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        await owner.crash()
        rig.engine_names = ("other",)
        owner.begin()
        await until(lambda: hole.kinds() == [Kind.LEFT_RUNNING])
        assert 'The config has no engine "pika" any more' in hole.notices[0].body


async def test_calendar_config_and_ledger_tell_of_themselves(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """A sign-in that ended, an edit that was rejected, a ledger from a backup: once each."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        rig.show(starts_in=90_000)
        calendar = rig.event().calendar
        since = rig.clock.now() - timedelta(minutes=6)
        rig.ledger.calendars.note_failure(calendar, at=since, problem="Sign in again.")
        owner.problems.append("locum.toml:1: no")
        rig.ledger.database.set_meta("recovered_at", "2026-11-23T09:00:00.000000Z")
        owner.notifications.ask()
        await until(lambda: len(hole.notices) == 3)
        assert set(hole.kinds()) == {Kind.CALENDAR, Kind.CONFIG, Kind.LEDGER}
        rig.read()
        owner.problems.clear()
        rig.ledger.database.reconciled()
        await until(lambda: len(hole.notices) == 5)
        assert hole.titles()[3:] == [
            "The calendar work/primary can be read again",
            "The ledger agrees with the world again",
        ]


async def test_a_ledger_that_cant_be_written_is_told_all_the_same(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """A full disk: one message that needs no ledger, and what is due comes later, once."""
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [hole]) as owner:
        owner.begin()
        rig.show("first", starts_in=AHEAD)
        await until(lambda: hole.kinds() == [Kind.BEFORE])
        rig.show("second", starts_in=AHEAD + 30, room=room("xyz-wxyz-xyz"))
        with rig.unwritable():
            await until(lambda: Kind.LEDGER in hole.kinds())
            owner.notifications.ask()
        await until(lambda: hole.kinds().count(Kind.BEFORE) == 2)
        assert hole.kinds().count(Kind.LEDGER) == 1


async def test_a_target_that_will_never_take_it_is_not_tried_again(tmp_path: Path) -> None:
    """Its config is wrong: written down, and the other target has it."""
    wrong, right = Pigeonhole("wrong", PermanentError("no such address")), Pigeonhole("right")
    async with daemon_rig(tmp_path) as rig, owner_of(rig, [wrong, right]) as owner:
        owner.begin()
        rig.show(starts_in=AHEAD)
        await until(lambda: owner.deliveries() and not rig.ledger.notices.waiting_targets())
        outcomes = {each.target: each.outcome for each in owner.deliveries()}
        assert outcomes == {"wrong": Outcome.REFUSED, "right": Outcome.SENT}


async def test_a_target_that_is_gone_is_waited_for_no_more(
    tmp_path: Path, hole: Pigeonhole
) -> None:
    """The file names another phone now: what waited for the old one is settled."""
    hole.fails = TransientError("down")
    found = [hole]
    async with daemon_rig(tmp_path) as rig, owner_of(rig, found) as owner:
        owner.begin()
        rig.show(starts_in=AHEAD)
        await until(owner.deliveries)
        found[:] = [Pigeonhole("new")]
        owner.notifications.ask()
        await until(lambda: owner.deliveries()[0].outcome is Outcome.NO_TARGET)
