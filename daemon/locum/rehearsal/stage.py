"""The whole stage: a Google, a PikaStream, a model, rooms, where notices arrive; one clock."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locum.errors import PermanentError
from locum.rehearsal.clock import LeapingClock, StageClock
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.meet import MeetStage
from locum.rehearsal.meet.meeting import Recorded
from locum.rehearsal.meet.serving import can_serve, served_meet
from locum.rehearsal.model import ModelStage, model_app
from locum.rehearsal.pikastate import PikaStage
from locum.rehearsal.pikastream import pikastream_app
from locum.rehearsal.receiver import Receiver, receiver_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.scenario import (
    Earlier,
    EditKind,
    FaultTarget,
    HearingBy,
    Scenario,
    ScenarioEdit,
    ScenarioEvent,
    ScenarioFault,
    TalkLine,
)
from locum.rehearsal.serving import served

ACCOUNT = "stage"
"""What its daemon's config calls the owner's account."""

RECORDINGS = Path(__file__).parent / "scenarios" / "recordings"

if TYPE_CHECKING:
    from locum.rehearsal.prompter import Prompter

_A_WEEK = timedelta(weeks=1)

_TURN_S = 0.05
"""How often the scenario looks whether something is due, in the host's seconds."""


@dataclass(frozen=True)
class Addresses:
    """Where the stage is served; no trailing slashes.

    `meet` is where the meeting page is, empty without the extra `stage`; `recogniser` is the
    one that knows the script, empty where a scenario has none.
    """

    google: str
    pikastream: str
    notices: str
    model: str
    meet: str = ""
    recogniser: str = ""


class Stage:
    """Plays `scenario` from `begin` on. Safe to look at from any thread.

    Several processes that make one stage together share a `clock`, by its two epochs.
    `recordings` is the folder of the recorded lines; without, it is the one that comes along.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        speed: float = 1.0,
        clock: StageClock | None = None,
        recordings: Path | None = None,
    ) -> None:
        self.scenario = scenario
        self.clock = LeapingClock(clock or StageClock(speed=speed, epoch=scenario.begins))
        self.rooms = Rooms(now=self.clock.now)
        self.google = GoogleStage(now=self.clock.now)
        self.pikastream = PikaStage(
            now=self.clock.now, rooms=self.rooms, settings=scenario.pikastream
        )
        self.meet = MeetStage(now=self.clock.now, rooms=self.rooms, settings=scenario.page)
        self.receiver = Receiver(self.clock.now)
        self.model = ModelStage(scenario.model, now=self.clock.now)
        self.beginning: datetime | None = None
        self._event_ids: dict[str, str] = {}
        self.has_leapt = False
        self.prompter: Prompter | None = None
        self._recordings = recordings or RECORDINGS
        self._recorded: dict[TalkLine, timedelta] = {}
        self.google.add_account(scenario.owner.email, name=scenario.owner.name)
        self._prepare_meet()
        self._invite_to_the_page()

    def _invite_to_the_page(self) -> None:
        """Let those whom an event invites in without asking, if they sign in."""
        for event in self.scenario.events:
            if event.meet is None:
                continue
            for attendee in event.attendees:
                self.meet.invite(attendee.email, event.meet, name=attendee.name)

    def _prepare_meet(self) -> None:
        meet, wanted = self.google.meet, self.scenario.meet
        meet.rooms = self.rooms
        if wanted is not None:
            meet.transcribed = frozenset(wanted.rooms) or None
            meet.transcripts_after = wanted.transcripts_after if wanted.ready else None
            meet.smart_notes = wanted.smart_notes

    @contextlib.contextmanager
    def open(self) -> Iterator[Addresses]:
        """Serve everything on loopback until the block ends."""
        with (
            served(google_app(self.google)) as google,
            served(pikastream_app(self.pikastream)) as pikastream,
            served(receiver_app(self.receiver)) as notices,
            served(model_app(self.model)) as model,
            self._recogniser() as recogniser,
            self._meeting_page() as meet,
        ):
            yield Addresses(
                google=google.base_url,
                pikastream=pikastream.base_url,
                notices=notices.base_url,
                model=f"{model.base_url}/v1",
                meet=meet,
                recogniser=recogniser,
            )

    @contextlib.contextmanager
    def _recogniser(self) -> Iterator[str]:
        """Serve the recogniser that knows the script, where the scenario asks for it."""
        if self.scenario.hearing.by is not HearingBy.STAGE or not can_serve():
            yield ""
            return
        from locum.rehearsal.prompter import Prompter
        from locum.rehearsal.recognition import RecognitionStage, recognition_app

        prompter = self.prompter = Prompter()
        with served(recognition_app(RecognitionStage(hear=prompter.hear))) as server:
            yield f"{server.base_url}/v1"

    @contextlib.contextmanager
    def _meeting_page(self) -> Iterator[str]:
        """Serve the meeting page, where what it takes is installed."""
        if not can_serve():
            yield ""
            return
        self._read_recordings()
        with served_meet(self.meet) as server:
            yield server.base_url

    def _read_recordings(self) -> None:
        """Let the lines that are recorded be said by their recordings.

        Raises:
            PermanentError: One is missing, or no sound.
        """
        talk = self.scenario.talk
        recorded = () if talk is None else (line for line in talk.lines if line.recording)
        for line in recorded:
            from locum.rehearsal.meet.media.speaking import read_sound
            from locum.rehearsal.meet.media.wire import AUDIO_HZ

            file = self._recordings / line.recording
            try:
                lasts = timedelta(seconds=len(read_sound(file)) / AUDIO_HZ)
            except ValueError as error:
                raise PermanentError(
                    f"{error} Record it, or take `recording` out of that line."
                ) from error
            self._recorded[line] = lasts
            self.meet.record(line.who, line.says, Recorded(file, lasts))

    def lasts(self, line: TalkLine) -> timedelta | None:
        """Answer how long a recorded line takes to say; None where it isn't recorded."""
        return self._recorded.get(line)

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Put the invitations on the calendar now, and let the rest happen in its time."""
        beginning = self.beginning = self.clock.now()
        if not self.has_leapt:
            self._invite(beginning)
        self.rooms.expect(self.scenario.room_steps(beginning))
        with self._played(beginning):
            yield

    @contextlib.contextmanager
    def playing_earlier(self) -> Iterator[None]:
        """Put the invitations on the calendar, and let the earlier meeting be held.

        At the block's end a week passes, and it goes on at the speed of 1: `playing` then has
        the next meeting of that series.

        Raises:
            ValueError: There is no earlier meeting in this scenario.
        """
        earlier, event = self.scenario.earlier, self.scenario.events[0]
        if earlier is None or event.meet is None:
            raise ValueError("this scenario has no earlier meeting")
        beginning = self.beginning = self.clock.now()
        self._invite(beginning)
        self.rooms.expect(earlier.entries(event.meet, beginning + event.starts_at))
        with self._played(beginning, partial(self._hold_earlier, earlier, event.meet)):
            yield
        self.clock.leap(beginning + _A_WEEK, speed=1.0)
        self.has_leapt = True

    def _hold_earlier(self, earlier: Earlier, room: str) -> bool:
        """Let them begin as soon as the stand-in is there: at this speed it may come late."""
        here = any(visit.is_bot for visit in self.rooms.present(room))
        if here:
            self.rooms.expect(earlier.talk(room, self.clock.now()))
        return here

    def _invite(self, beginning: datetime) -> None:
        for event in self.scenario.events:
            body = _event_body(event, beginning)
            shown = self.google.insert_event(self.scenario.owner.email, body)
            self._event_ids[event.id] = shown["id"]

    @contextlib.contextmanager
    def _played(
        self, beginning: datetime, until_done: Callable[[], bool] = lambda: True
    ) -> Iterator[None]:
        """Play what is due; `until_done` is tried at every turn until it is true."""
        finished = threading.Event()
        player = threading.Thread(
            target=self._play,
            args=(beginning, finished, until_done),
            name="scenario",
            daemon=True,
        )
        player.start()
        try:
            yield
        finally:
            finished.set()
            player.join(timeout=5)

    def offset(self) -> timedelta:
        """Answer how long the scenario has been playing."""
        return timedelta(0) if self.beginning is None else self.clock.now() - self.beginning

    def _play(
        self, beginning: datetime, finished: threading.Event, until_done: Callable[[], bool]
    ) -> None:
        done = False
        pending: list[ScenarioEdit | ScenarioFault] = sorted(
            (*self.scenario.edits, *self.scenario.faults), key=lambda step: step.at
        )
        while not finished.wait(_TURN_S):
            self.rooms.tick()
            done = done or until_done()
            while pending and beginning + pending[0].at <= self.clock.now():
                step = pending.pop(0)
                if isinstance(step, ScenarioEdit):
                    self._edit(step, beginning)
                elif step.target is FaultTarget.GOOGLE:
                    self.google.faults.add(step.fault)
                elif step.target is FaultTarget.MODEL:
                    self.model.faults.add(step.fault)
                else:
                    self.pikastream.faults.add(step.fault)

    def _edit(self, edit: ScenarioEdit, beginning: datetime) -> None:
        owner = self.scenario.owner.email
        event_id = self._event_ids[edit.event]
        if edit.kind is EditKind.CANCEL:
            self.google.delete_event(owner, event_id)
        elif edit.kind is EditKind.DECLINE:
            self.google.respond(edit.attendee or owner, event_id, "declined")
        else:
            shown = self.google.get_event(owner, event_id)
            self.google.patch_event(owner, event_id, _change(edit, shown, beginning))


def _event_body(event: ScenarioEvent, beginning: datetime) -> dict[str, Any]:
    start = beginning + event.starts_at
    body: dict[str, Any] = {
        "summary": event.title,
        "description": event.description,
        "location": event.location,
        "start": _moment(start),
        "end": _moment(start + event.duration),
        "organizer": {"email": event.organizer, "displayName": event.organizer_name},
        "attendees": [
            {
                "email": attendee.email,
                "displayName": attendee.name,
                "responseStatus": attendee.answer.value,
                "optional": attendee.optional,
            }
            for attendee in event.attendees
        ],
        "recurrence": list(event.recurrence),
    }
    if event.meet is not None:
        body |= _link(event.meet)
    return {key: value for key, value in body.items() if value}


def _change(edit: ScenarioEdit, shown: dict[str, Any], beginning: datetime) -> dict[str, Any]:
    start = datetime.fromisoformat(shown["start"]["dateTime"].replace("Z", "+00:00"))
    end = datetime.fromisoformat(shown["end"]["dateTime"].replace("Z", "+00:00"))
    if edit.kind is EditKind.MOVE and edit.to is not None:
        moved = beginning + edit.to
        return {"start": _moment(moved), "end": _moment(moved + (end - start))}
    if edit.kind is EditKind.EXTEND and edit.by is not None:
        return {"end": _moment(end + edit.by)}
    body: dict[str, Any] = {
        "summary": edit.title,
        "description": edit.description,
        "location": edit.location,
    }
    if edit.meet is not None:
        body |= _link(edit.meet)
    return {key: value for key, value in body.items() if value is not None}


def _moment(instant: datetime) -> dict[str, str]:
    return {"dateTime": instant.isoformat(timespec="seconds"), "timeZone": "UTC"}


def _link(code: str) -> dict[str, Any]:
    address = f"https://meet.google.com/{code}"
    return {
        "hangoutLink": address,
        "conferenceData": {
            "conferenceId": code,
            "conferenceSolution": {
                "key": {"type": "hangoutsMeet"},
                "name": "Google Meet",
            },
            "entryPoints": [
                {
                    "entryPointType": "video",
                    "uri": address,
                    "label": address.removeprefix("https://"),
                }
            ],
        },
    }
