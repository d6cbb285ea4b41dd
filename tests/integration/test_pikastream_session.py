"""One session against the stage: getting in, outages, the end, and the proof of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from locum.core.model import EndReason, SessionHandle
from locum.core.transcript import Source
from locum.engines.pikastream_session import Pace
from locum.errors import TransientError
from locum.ports import Admitted, Ended, Waiting
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastream import Hostile
from tests.integration.pikastream_rig import (
    CODE,
    KEY,
    SESSION,
    Rig,
    eventually,
    rigged,
    until_over,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as built:
        yield built


# ── getting in ───────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_session_waits_gets_in_and_ends_with_the_meeting(rig: Rig) -> None:
    """Waiting is told once a change, then Admitted, then the room's end."""
    session = await rig.joined()
    began, events = rig.clock.now(), session.events()
    first, second, third = [await anext(events) for _ in range(3)]
    assert isinstance(first, Waiting)
    assert "video not yet connected" in first.detail
    assert isinstance(second, Waiting)
    assert "video connected, meeting bot not yet" in second.detail
    assert isinstance(third, Admitted)
    assert third.at - began <= timedelta(seconds=6)
    rig.stage.rooms.close(CODE)
    last = await anext(events)
    assert isinstance(last, Ended)
    assert last.reason is EndReason.MEETING_OVER
    assert last.at - third.at <= timedelta(seconds=10)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


@pytest.mark.anyio
async def test_a_live_session_is_looked_at_every_ten_seconds(rig: Rig) -> None:
    """Ten minutes in a meeting are about sixty requests, not three hundred."""
    session = await rig.joined()
    events = session.events()
    while not isinstance(await anext(events), Admitted):
        pass
    rig.stage.log.clear()
    until = rig.clock.now() + timedelta(minutes=10)

    async def close_then() -> None:
        await eventually(lambda: rig.clock.now() >= until)
        rig.stage.rooms.close(CODE)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close_then)
        assert isinstance(await anext(events), Ended)
    assert 55 <= rig.calls(SESSION, "GET") <= 75


@pytest.mark.anyio
async def test_flags_admit_whatever_the_status_says(rig: Rig) -> None:
    """An unknown status isn't ready, but both flags together are."""
    rig.stage.configure(hostile=frozenset({Hostile.UNKNOWN_STATUS}), short_video_flag=True)
    session = await rig.joined()
    events = session.events()
    first = await anext(events)
    assert isinstance(first, Waiting)
    assert first.detail.startswith("hibernating;")
    while not isinstance(event := await anext(events), Admitted):
        assert isinstance(event, Waiting)


@pytest.mark.anyio
async def test_never_ready_ends_at_the_deadline(rig: Rig) -> None:
    """After `ready_timeout` the wait is over, to the second."""
    rig.stage.configure(never_ready=True)
    session = await rig.joined()
    began = rig.clock.now()
    *_, last = await until_over(session)
    assert isinstance(last, Ended)
    assert last.reason is EndReason.NOT_ADMITTED
    assert "meeting bot not yet connected" in last.detail
    assert last.at - began == timedelta(seconds=90)


@pytest.mark.anyio
async def test_admit_by_can_come_first(rig: Rig) -> None:
    """The meeting's own limit counts where it is earlier."""
    rig.stage.configure(never_ready=True)
    admit_by = rig.clock.now() + timedelta(seconds=31)
    session = await rig.engine.join(rig.request(admit_by=admit_by))
    *_, last = await until_over(session)
    assert last.at == admit_by


@pytest.mark.anyio
async def test_an_outage_doesn_t_prolong_the_wait(rig: Rig) -> None:
    """A service that is down keeps nobody waiting beyond the deadline."""
    rig.stage.configure(never_ready=True)
    session = await rig.joined()
    began = rig.clock.now()
    rig.stage.faults.add(Fault(SESSION, status=500, times=None))
    (last,) = await until_over(session)
    assert isinstance(last, Ended)
    assert last.reason is EndReason.NOT_ADMITTED
    assert last.at - began == timedelta(seconds=90)


@pytest.mark.anyio
async def test_an_error_before_getting_in_is_the_engine_s(rig: Rig) -> None:
    """The service's own message is told, bounded and printable."""
    rig.stage.configure(session_error="GPU\x07 lost\n" + "x" * 1000)
    *_, last = await until_over(await rig.joined())
    assert isinstance(last, Ended)
    assert last.reason is EndReason.ENGINE_LOST
    assert "GPU lost xxx" in last.detail
    assert len(last.detail) < 400


@pytest.mark.parametrize("status", ["closed", "error"])
@pytest.mark.anyio
async def test_an_end_before_getting_in(rig: Rig, status: str) -> None:
    """A room that we never were in didn't close on us."""
    session = await rig.joined()
    rig.stage.faults.add(Fault(SESSION, body={"status": status}))
    (last,) = await until_over(session)
    assert isinstance(last, Ended)
    assert last.reason is EndReason.ENGINE_LOST


# ── while live ───────────────────────────────────────────────────────────────────────────


async def live(rig: Rig) -> tuple[object, AsyncIterator[object]]:
    session = await rig.joined()
    events = session.events()
    while not isinstance(await anext(events), Admitted):
        pass
    return session, events


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(SESSION, body={"status": "closed"}), EndReason.MEETING_OVER),
        (Fault(SESSION, body={"status": "error"}), EndReason.ENGINE_LOST),
        (Fault(SESSION, status=404, times=2), EndReason.MEETING_OVER),
        (Fault(SESSION, status=410, times=2), EndReason.MEETING_OVER),
    ],
)
@pytest.mark.anyio
async def test_how_a_live_session_ends(rig: Rig, fault: Fault, reason: EndReason) -> None:
    """Closed and gone mean that the meeting is over; an error means that the engine is."""
    _, events = await live(rig)
    rig.stage.faults.add(fault)
    last = await anext(events)
    assert isinstance(last, Ended)
    assert last.reason is reason


@pytest.mark.parametrize(
    "fault",
    [
        Fault(SESSION, status=500, times=8),
        Fault(SESSION, status=401, times=8),
        Fault(SESSION, status=429, times=8, headers={"Retry-After": "5"}),
        Fault(SESSION, drop=True, times=8),
        Fault(SESSION, body="<html>maintenance</html>", times=8),
        Fault(SESSION, body="[" * 100_000, times=8),
        Fault(SESSION, endless=True, times=2),
        Fault(SESSION, status=404, times=1),
    ],
)
@pytest.mark.anyio
async def test_an_outage_ends_no_session(rig: Rig, fault: Fault) -> None:
    """Whatever the polls meet, the session goes on, and its real end is seen afterwards."""
    _, events = await live(rig)
    rig.stage.faults.add(fault)

    async def close_afterwards() -> None:
        await eventually(lambda: not rig.stage.faults.pending())
        rig.stage.rooms.close(CODE)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close_afterwards)
        last = await anext(events)
    assert isinstance(last, Ended)
    assert (last.reason, last.detail) == (
        EndReason.MEETING_OVER,
        "the service says closed: no reason given",
    )


@pytest.mark.anyio
async def test_a_cancelled_wait_loses_no_event(rig: Rig) -> None:
    """Cancelled again and again, the same iterator still tells everything, once."""
    session = await rig.joined()
    events = session.events()
    seen: list[object] = []
    rig.stage.faults.add(Fault(SESSION, delay_s=0.02, times=None))
    patience = 0.005  # Grows, so that on a slow machine too some waits are cut and some aren't.
    while not any(isinstance(event, Ended) for event in seen):
        with anyio.move_on_after(patience % 0.5):
            seen.append(await anext(events))
        patience *= 1.3
        if any(isinstance(event, Admitted) for event in seen):
            rig.stage.rooms.close(CODE)
    kinds = [type(event) for event in seen]
    assert kinds.count(Admitted) == kinds.count(Ended) == 1
    assert kinds[-1] is Ended


# ── leaving ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_leaving_ends_the_session_and_the_bill(rig: Rig) -> None:
    """Nothing runs afterwards; the bodies are kept, and there are no notes to keep."""
    session = await rig.joined()
    remains = await session.leave()
    assert rig.stage.live_sessions() == ()
    assert remains.notes == ()
    before, answer, after = remains.bodies
    assert '"starting"' in before
    assert '"success":true' in answer
    assert '"closed"' in after


@pytest.mark.anyio
async def test_leaving_twice_is_leaving_once(rig: Rig) -> None:
    """A second call, even at the same time, costs no request and says the same."""
    session = await rig.joined()
    told = []

    async def leave() -> None:
        told.append(await session.leave())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        tasks.start_soon(leave)
    assert told[0] is told[1] is await session.leave()
    assert rig.calls(SESSION, "DELETE") == 1


@pytest.mark.anyio
async def test_notes_are_harvested_word_for_word(rig: Rig) -> None:
    """What the bodies carry is kept with its origin, and the same text only once."""
    rig.stage.configure(give_back_notes="We ship on Friday. 🚀")
    session = await rig.joined()
    rig.stage.faults.add(
        Fault(
            SESSION,
            body={
                "status": "ready",
                "transcript": [{"speaker": "Ada", "text": "Hello."}, "(noise)", {"text": 7}, 9],
                "summary": {"not": "a text"},
            },
        )
    )
    remains = await session.leave()
    assert [(note.source, note.text) for note in remains.notes] == [
        (
            "pikastream session body, before leaving: transcript",
            "Ada: Hello.\n(noise)",
        ),
        ("pikastream answer to leaving: notes", "We ship on Friday. 🚀"),
    ]
    said = [(each.speaker, each.text, each.source) for each in remains.utterances]
    assert said == [("Ada", "Hello.", Source.ENGINE), ("", "(noise)", Source.ENGINE)]


@pytest.mark.anyio
async def test_bodies_are_bounded_and_hold_no_key(rig: Rig) -> None:
    """A service that echoes the key or answers a book fills no record with it."""
    session = await rig.joined()
    rig.stage.faults.add(
        Fault(SESSION, body={"status": "ready", "echo": KEY, "x": "y" * 200_000})
    )
    remains = await session.leave()
    assert len(remains.bodies[0]) == 64 * 1024
    assert KEY not in "".join(remains.bodies)


@pytest.mark.anyio
async def test_failing_deletes_are_repeated(rig: Rig) -> None:
    """Three 500s in a row leave no orphan."""
    rig.stage.configure(failing_deletes=3)
    session = await rig.joined()
    await session.leave()
    assert rig.stage.live_sessions() == ()
    assert rig.calls(SESSION, "DELETE") == 4


@pytest.mark.parametrize(
    "fault",
    [
        Fault(SESSION, method="DELETE", status=200, body={"success": True}, times=None),
        Fault(SESSION, method="DELETE", status=404, times=None),
        Fault(SESSION, method="DELETE", drop=True, times=None),
        Fault(SESSION, method="DELETE", status=401, times=None),
    ],
    ids=["accepted only", "unknown", "dropped", "key refused"],
)
@pytest.mark.anyio
async def test_a_session_that_goes_on_is_not_left(rig: Rig, fault: Fault) -> None:
    """Whatever the DELETE answers, a session that still shows itself may be running."""
    session = await rig.joined()
    rig.stage.faults.add(fault)
    with pytest.raises(TransientError, match="may still be running") as caught:
        await session.leave()
    assert session.handle in str(caught.value)
    assert rig.calls(SESSION, "DELETE") == 5
    rig.stage.faults.clear()
    await session.leave()
    assert rig.stage.live_sessions() == ()


@pytest.mark.anyio
async def test_a_service_that_never_shows_the_end_is_taken_at_its_word(rig: Rig) -> None:
    """Thirty accepted DELETEs later nothing is left to do but to say what is doubtful."""
    session = await rig.joined()
    rig.stage.faults.add(
        Fault(SESSION, method="DELETE", status=200, body={"success": True}, times=None)
    )
    for _ in range(5):
        with pytest.raises(TransientError, match="may still be running"):
            await session.leave()
    remains = await session.leave()
    assert "accepted the end 30 times" in remains.doubt
    assert rig.calls(SESSION, "DELETE") == 30


@pytest.mark.anyio
async def test_an_unseen_end_is_no_proof(rig: Rig) -> None:
    """The DELETE was taken, but nobody can say so: leaving isn't over."""
    session = await rig.joined()
    rig.stage.faults.add(Fault(SESSION, method="GET", status=500, times=None))
    with pytest.raises(TransientError, match="may still be running"):
        await session.leave()
    rig.stage.faults.clear()
    assert len((await session.leave()).bodies) == 3


@pytest.mark.anyio
async def test_an_error_is_over_only_once_it_was_told_to_leave(rig: Rig) -> None:
    """A session in error may be billed; it counts as over after an accepted DELETE."""
    session = await rig.joined()
    rig.stage.faults.add(Fault(SESSION, method="DELETE", status=500))
    rig.stage.faults.add(Fault(SESSION, method="GET", body={"status": "error"}, times=3))
    await session.leave()
    assert rig.calls(SESSION, "DELETE") == 2


# ── reattaching ──────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_restart_finds_a_live_session_again(rig: Rig) -> None:
    """The next process says Admitted first, and can leave."""
    session, _ = await live(rig)
    restarted = rig.another_engine()
    again = await restarted.reattach(session.handle)  # type: ignore[attr-defined]
    assert again is not None
    assert isinstance(await anext(again.events()), Admitted)
    await again.leave()
    assert rig.stage.live_sessions() == ()


@pytest.mark.anyio
async def test_a_restart_finds_a_waiting_session_again(rig: Rig) -> None:
    """One that isn't in yet goes on waiting, with a deadline of its own."""
    rig.stage.configure(never_ready=True)
    session = await rig.joined()
    again = await rig.another_engine().reattach(session.handle)
    assert again is not None
    first, *_, last = await until_over(again)
    assert isinstance(first, Waiting)
    assert isinstance(last, Ended)


@pytest.mark.anyio
async def test_nothing_is_found_of_a_session_that_is_over(rig: Rig) -> None:
    """Closed, unknown, and names that no join ever gave: None."""
    session = await rig.joined()
    await session.leave()
    assert await rig.engine.reattach(session.handle) is None
    assert await rig.engine.reattach(SessionHandle("sess_unknown")) is None
    assert await rig.engine.reattach(SessionHandle("../../developer/balance")) is None
    assert rig.calls("/developer/balance") == 1


@pytest.mark.anyio
async def test_a_session_found_in_error_is_told_to_leave(rig: Rig) -> None:
    """What is in error may still be billed."""
    session = await rig.joined()
    rig.stage.faults.add(Fault(SESSION, body={"status": "error"}))
    assert await rig.engine.reattach(session.handle) is None
    assert rig.stage.live_sessions() == ()


@pytest.mark.parametrize("status", [401, 500, 503])
@pytest.mark.anyio
async def test_what_can_t_be_told_is_no_end(rig: Rig, status: int) -> None:
    """An outage or a refused key at the restart doesn't make a session disappear."""
    session = await rig.joined()
    rig.stage.faults.add(Fault(SESSION, status=status))
    with pytest.raises(TransientError):
        await rig.engine.reattach(session.handle)
    assert await rig.engine.reattach(session.handle) is not None


def test_the_pace_slows_in_an_outage_and_has_a_limit() -> None:
    """Two, four, eight seconds … and never more than a minute."""
    waits = [Pace().after(failures, live=False).total_seconds() for failures in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
