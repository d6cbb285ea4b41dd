"""The calendar's own history: what it said of each occurrence, and from when on.

This is the independent side. It knows nothing of locum's keys, policy or plans, only the
rules of attendance as they are promised.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from locum.rehearsal.google import GoogleStage
from tests.campaign.schedule import CAP_S, Planned, Step
from tests.campaign.story import Story

OWNER = "alex@example.com"
BOSS = "boss@example.com"
STRANGER = "stranger@elsewhere.example"


@dataclass(frozen=True)
class Version:
    """What an occurrence is from `since` on; `wanted`: the rules say that we go."""

    since: datetime
    start: datetime
    end: datetime | None
    room: str | None
    answered: bool
    cancelled: bool = False
    unwelcome: bool = False  #: A person said no.
    over_at: datetime | None = None  #: The start at which the meeting was ended for all.

    @property
    def wanted(self) -> bool:
        no = self.cancelled or self.unwelcome or self.over_at == self.start or self.room is None
        return self.answered and not no

    @property
    def until(self) -> datetime:
        return self.end if self.end is not None else self.start + timedelta(seconds=CAP_S)


@dataclass
class Occurrence:
    """One occurrence, and all that was ever true of it, in order."""

    name: str
    event_id: str
    uid: str
    versions: list[Version] = field(default_factory=list)

    @property
    def now(self) -> Version:
        return self.versions[-1]

    def sent_away(self, version: Version) -> bool:
        """Whether a version ended with people's word to the stand-in itself, known at once."""
        number = self.versions.index(version) + 1
        if number == len(self.versions):
            return False
        after = self.versions[number]
        return after.unwelcome > version.unwelcome or after.over_at not in {
            None,
            version.over_at,
        }

    def spans(self, end: datetime) -> list[tuple[Version, datetime]]:
        """Answer each version with when it ceased to be true."""
        ends = [each.since for each in self.versions[1:]] + [end]
        return list(zip(self.versions, ends, strict=True))


class Diary:
    """Writes to the stage's calendar, and remembers."""

    def __init__(self, google: GoogleStage, base: datetime, story: Story) -> None:
        self._google = google
        self._base = base
        self._story = story
        self.occurrences: list[Occurrence] = []
        self._of: dict[int, list[Occurrence]] = {}
        self._series: dict[int, str] = {}

    def of(self, who: int) -> Occurrence | None:
        """Answer the newest occurrence that stands for the who-th meeting, if it is made."""
        made = self._of.get(who)
        return made[-1] if made else None

    def make(self, who: int, planned: Planned) -> None:
        start = self._base + timedelta(seconds=planned.start)
        end = start + timedelta(seconds=planned.length) if planned.length else None
        body = _body(f"Meeting {who}", start, end, planned)
        shown = self._google.insert_event(OWNER, body)
        made = []
        for number in range(planned.times):
            begin = start + timedelta(hours=number)
            key = shown["id"]
            uid = shown["iCalUID"]
            if planned.times > 1:
                label = f"{begin:%Y%m%dT%H%M%SZ}"
                key, uid = f"{key}_{label}", f"{uid}/{label}"
            version = Version(
                since=self._now(),
                start=begin,
                end=None if end is None else end + timedelta(hours=number),
                room=planned.room,
                answered=planned.manner in {"accepted", "trusted", "own"},
            )
            made.append(Occurrence(f"meeting {who}.{number}", key, uid, [version]))
        self.occurrences += made
        self._of.setdefault(who, []).extend(reversed(made))
        self._tell(made[0], f"made ({planned.manner}) x{planned.times}")

    def edit(self, step: Step, planned: Planned) -> bool:
        """Carry out one edit; False if it makes no sense now."""
        found = self.of(step.who)
        if found is None:
            return False
        change = getattr(self, f"_{step.kind}")
        if not change(found, step, planned):
            return False
        self._tell(self.of(step.who) or found, step.kind)
        return True

    # ── edits ────────────────────────────────────────────────────────────────────────────

    def _move(self, one: Occurrence, step: Step, _: Planned) -> bool:
        by = timedelta(seconds=step.amount)
        end = None if one.now.end is None else one.now.end + by
        return self._patch(
            one, _times(one.now.start + by, end), start=one.now.start + by, end=end
        )

    def _extend(self, one: Occurrence, step: Step, _: Planned) -> bool:
        if one.now.end is None:
            return False
        end = one.now.end + timedelta(seconds=abs(step.amount))
        return self._patch(one, _times(one.now.start, end), end=end)

    def _shorten(self, one: Occurrence, step: Step, _: Planned) -> bool:
        if one.now.end is None:
            return False
        end = one.now.end - timedelta(seconds=abs(step.amount))
        if end <= one.now.start:
            return False
        return self._patch(one, _times(one.now.start, end), end=end)

    def _cancel(self, one: Occurrence, _step: Step, _: Planned) -> bool:
        if one.now.cancelled:
            return False
        self._google.delete_event(OWNER, one.event_id)
        self._become(one, cancelled=True)
        return True

    def _undo(self, one: Occurrence, _step: Step, _: Planned) -> bool:
        if not one.now.cancelled:
            return False
        self._google.patch_event(OWNER, one.event_id, {"status": "confirmed"})
        self._become(one, cancelled=False)
        return True

    def _remake(self, one: Occurrence, step: Step, planned: Planned) -> bool:
        """Delete it, and make another one of the same time in the same room."""
        if one.now.cancelled or planned.times > 1 or one.now.room is None:
            return False
        self._cancel(one, step, planned)
        seconds = (one.now.start - self._base).total_seconds()
        length = 0.0 if one.now.end is None else (one.now.end - one.now.start).total_seconds()
        again = replace(planned, start=seconds, length=length, room=one.now.room)
        self.make(step.who, again)
        return True

    def _answer(self, one: Occurrence, _step: Step, planned: Planned) -> bool:
        if one.now.cancelled or planned.manner == "own" or planned.times > 1:
            return False
        said = "declined" if one.now.answered else "accepted"
        self._google.respond(OWNER, one.event_id, said)
        self._become(one, answered=said == "accepted")
        return True

    def _room(self, one: Occurrence, step: Step, _: Planned) -> bool:
        return self._patch(one, _link(step.what), room=step.what)

    def _unlink(self, one: Occurrence, _step: Step, _: Planned) -> bool:
        return self._patch(one, {"hangoutLink": None, "conferenceData": None}, room=None)

    def _retitle(self, one: Occurrence, step: Step, _: Planned) -> bool:
        return self._patch(one, {"description": f"Agenda {step.at:.0f}"})

    def _patch(self, one: Occurrence, body: dict[str, Any], **changes: Any) -> bool:
        if one.now.cancelled:
            return False
        self._google.patch_event(OWNER, one.event_id, body)
        self._become(one, **changes)
        return True

    # ── what people say ──────────────────────────────────────────────────────────────────

    def unwelcome(self, one: Occurrence) -> None:
        """From here on nobody wants us there, wherever the event moves."""
        self._become(one, unwelcome=True)
        self._tell(one, "not wanted there any more")

    def over(self, one: Occurrence) -> None:
        """The meeting was ended for all: at another time it would be another one."""
        self._become(one, over_at=one.now.start)
        self._tell(one, "over")

    def in_room(self, room: str) -> list[Occurrence]:
        """Answer what takes place in a room now, as far as the calendar says."""
        now = self._now()
        return [
            each
            for each in self.occurrences
            if each.now.room == room and each.now.start <= now < each.now.until
        ]

    def _become(self, one: Occurrence, **changes: Any) -> None:
        one.versions.append(replace(one.now, since=self._now(), **changes))

    def _now(self) -> datetime:
        return self._google.now()

    def _tell(self, one: Occurrence, what: str) -> None:
        now = one.now
        start = (now.start - self._base).total_seconds() / 60
        until = (now.until - self._base).total_seconds() / 60
        told = "wanted" if now.wanted else "not wanted"
        self._story.tell(f"{one.name}: {what}: {start:g}-{until:g} min, {now.room}, {told}")


def _body(
    title: str, start: datetime, end: datetime | None, planned: Planned
) -> dict[str, Any]:
    organizers = {"trusted": BOSS, "own": OWNER}
    answers = {"accepted": "accepted", "declined": "declined", "own": "accepted"}
    organizer = organizers.get(planned.manner, STRANGER)
    body: dict[str, Any] = {
        "summary": title,
        "organizer": {"email": organizer},
        "attendees": [
            {"email": OWNER, "responseStatus": answers.get(planned.manner, "needsAction")},
            {"email": BOSS, "responseStatus": "accepted"},
        ],
        **_times(start, end),
        **_link(planned.room),
    }
    if planned.times > 1:
        body["recurrence"] = [f"RRULE:FREQ=HOURLY;COUNT={planned.times}"]
    return body


def _times(start: datetime, end: datetime | None) -> dict[str, Any]:
    return {"start": _moment(start), "end": _moment(end or start)}


def _moment(instant: datetime) -> dict[str, str]:
    text = instant.astimezone(timezone.utc).isoformat(timespec="seconds")
    return {"dateTime": text, "timeZone": "UTC"}


def _link(code: str) -> dict[str, Any]:
    address = f"https://meet.google.com/{code}"
    return {
        "hangoutLink": address,
        "conferenceData": {
            "conferenceId": code,
            "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
            "entryPoints": [{"entryPointType": "video", "uri": address}],
        },
    }
