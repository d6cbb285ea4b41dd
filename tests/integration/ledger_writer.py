"""A ledger with something in it, and a process that writes one and can be killed at it.

As a process it says what it has committed on its stdout, a line each; whatever stands there
must be found again, whatever happened to the process and its disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import structlog

from locum.core.model import (
    Answer,
    CalendarEvent,
    CalendarReading,
    CalendarRef,
    Code,
    Decision,
    Mark,
    Meeting,
    OccurrenceKey,
    Phase,
    Platform,
    Room,
    SessionHandle,
    SessionKey,
    Stay,
    TimeWindow,
)
from locum.errors import TransientError
from locum.ledger import Ledger, LedgerError
from locum.ledger.backup import keep_backup, open_ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
WORK = CalendarRef("work", "primary")
REPOSITORY = Path(__file__).parents[2]
_MODULE = "tests.integration.ledger_writer"
NOTHING_LEFT = 4
"""The exit status of a writer that could not even open its ledger."""


# ── something to write ───────────────────────────────────────────────────────────────────


def event(number: int) -> CalendarEvent:
    start = NOW + timedelta(minutes=number)
    code = f"abc-{chr(97 + number // 26 % 26)}{chr(97 + number % 26)}zz-hij"
    return CalendarEvent(
        calendar=WORK,
        event_id=f"event-{number}",
        uid=f"event-{number}",
        start=start,
        end=start + timedelta(minutes=30),
        revision="1",
        title=f"Meeting {number}",
        description="What is to be talked about. " * 10,
        answer=Answer.ACCEPTED,
        room=Room(Platform.GOOGLE_MEET, code, f"https://meet.google.com/{code}"),
    )


def key(number: int) -> SessionKey:
    return SessionKey(event(number).meeting)


def stay(number: int) -> Stay:
    of = event(number)
    assert of.room is not None
    assert of.end is not None
    meeting = Meeting(
        key=of.meeting,
        occurrence=of.occurrence,
        title=of.title,
        start=of.start,
        end=of.end,
        open_ended=False,
        room=of.room,
        decision=Decision(join=True, code=Code.ACCEPTED, reason="accepted", engine="pika"),
        revision=of.revision,
        event_id=of.event_id,
        calendar=of.calendar,
    )
    return Stay(
        key=key(number),
        room=of.room,
        join_at=of.start,
        leave_by=of.end,
        persona="robin",
        engine="pika",
        meetings=(meeting,),
    )


def read_calendar(ledger: Ledger, numbers: Sequence[int], at: datetime = NOW) -> None:
    window = TimeWindow(NOW - timedelta(days=1), NOW + timedelta(days=1))
    events = tuple(event(number) for number in numbers)
    ledger.calendars.apply(CalendarReading(WORK, at, window, events))


def claim(ledger: Ledger, number: int) -> None:
    at = NOW + timedelta(seconds=number)
    outcome = ledger.sessions.claim(
        [stay(number)], now=at, grace=timedelta(minutes=10), prices={"pika": 0.275}
    )
    assert outcome == {key(number): None}


def let_in(ledger: Ledger, number: int) -> None:
    at = NOW + timedelta(seconds=number + 1)
    handle = SessionHandle(f"handle-{number}")
    ledger.sessions.transition(key(number), Phase.WAITING, at=at, handle=handle)


def end(ledger: Ledger, number: int) -> None:
    at = NOW + timedelta(seconds=number + 2)
    ledger.sessions.close_attempt(key(number), at=at, outcome="meeting_over")
    ledger.sessions.transition(key(number), Phase.ENDED, at=at, ended_at=at)


def phases(ledger: Ledger) -> dict[SessionKey, Phase]:
    return {record.key: record.phase for record in ledger.sessions.newest(10_000)}


def read_all(ledger: Ledger) -> dict[SessionKey, Phase]:
    """Parse everything in the ledger; answers the sessions' phases."""
    ledger.calendars.events()
    ledger.calendars.states()
    ledger.calendars.marks()
    for session in phases(ledger):
        assert ledger.sessions.attempts(session), f"{session} was half claimed"
        last = ledger.sessions.transitions(session)[-1].after
        assert last == phases(ledger)[session], f"{session} was half moved"
    return phases(ledger)


# ── a process that writes it ─────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Written:
    """What a writer said before it ended: which phases it had committed, and what failed."""

    status: int
    acknowledged: dict[SessionKey, Phase]
    failed: tuple[str, ...]
    stderr: str


def run_writer(
    folder: Path, *, task: str = "write", tracer: Sequence[str] = (), sessions: int = 6
) -> Written:
    """Let another process do `task` in `folder`: its ledger, its backups."""
    done = subprocess.run(
        [
            *tracer,
            sys.executable,
            "-m",
            _MODULE,
            task,
            str(folder),
            str(sessions),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'daemon'}:{REPOSITORY}"},
    )
    acknowledged: dict[SessionKey, Phase] = {}
    failed = []
    for line in done.stdout.splitlines():
        verb, session, phase = line.split("\t")
        if verb == "committed":
            acknowledged[SessionKey(session)] = Phase(phase)
        else:
            failed.append(f"{verb} {session} {phase}")
    return Written(done.returncode, acknowledged, tuple(failed), done.stderr)


def _say(verb: str, number: int, phase: Phase) -> None:
    os.write(1, f"{verb}\t{key(number)}\t{phase.value}\n".encode())


def _write(ledger: Ledger, number: int, *, give_up: bool) -> None:
    for act, phase in ((claim, Phase.JOINING), (let_in, Phase.WAITING), (end, Phase.ENDED)):
        if phase is Phase.ENDED and number % 2:
            return
        before = ledger.sessions.get(key(number))
        try:
            act(ledger, number)
        except TransientError:
            _say("failed", number, phase)
            if give_up:
                os._exit(1)
            now = ledger.sessions.get(key(number))
            if (now and now.phase) != (before and before.phase):
                _say("half-written", number, phase)
            return
        _say("committed", number, phase)


def _fill(folder: Path, sessions: int, *, give_up: bool, checkpoint: bool) -> None:
    """Write sessions; copy the -wal into the file in between, and everything to a backup."""
    opened = open_ledger(folder / "ledger.sqlite3", backups=folder / "backups", now=NOW)
    ledger = Ledger(opened.database)
    try:
        read_calendar(ledger, range(sessions))
        ledger.calendars.set_mark(OccurrenceKey("event-0"), Mark.STOP, at=NOW)
    except TransientError:
        return
    for number in range(sessions):
        _write(ledger, number, give_up=give_up)
        if number == sessions // 3:
            keep_backup(ledger.database, folder / "backups", now=NOW)
        if number == sessions // 2 and checkpoint:
            try:
                ledger.database.row("PRAGMA wal_checkpoint(RESTART)")
            except TransientError:
                _say("unchecked", number, Phase.JOINING)


def _main(task: str, folder: Path, sessions: int) -> int:
    # What it acknowledges stands alone on stdout.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        if task == "open":
            open_ledger(folder / "ledger.sqlite3", backups=folder / "backups", now=NOW)
        else:
            checkpoint = task != "no-checkpoint"
            _fill(folder, sessions, give_up=task == "give-up", checkpoint=checkpoint)
    except LedgerError as error:
        sys.stderr.write(f"{error}\n")
        return NOTHING_LEFT
    return 0


if __name__ == "__main__":
    # As a kill ends it: nothing is closed, what isn't on the disk by now is lost.
    os._exit(_main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
