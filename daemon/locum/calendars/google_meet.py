"""Fetches Google Meet's own transcripts, after the meeting, through its REST API (v2).

A meeting in the calendar is a conference in a room at a time; what was transcribed hangs on
the conference. There is a transcript only where somebody whose Google Workspace plan has it
switched transcription on, and what an account may read of it depends on its plan and on who
organized. Google deletes the entries 30 days after the conference.

It names participants as the room shows them, without addresses: who they are is found out by
`locum.core.speakers`. Notes by Gemini come as the address of a document, never as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from locum.calendars.google_auth import status
from locum.calendars.google_events import one_line
from locum.calendars.google_token import PERMISSIONS, GoogleAccount
from locum.calendars.google_worker import GoogleWorker
from locum.core.model import Meeting, Person, Platform
from locum.core.transcript import Source, Utterance
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Clock, EngineNote, Fetched, Finding, Health

_PERMISSION = PERMISSIONS["transcripts"]

_BEGAN_BEFORE = timedelta(hours=12)
"""How long before a meeting the conference may have begun in which it was held."""

_EARLY = timedelta(minutes=15)
_OVERRUN = timedelta(hours=1)
"""What was said up to so long before and after a meeting is taken for its own."""

_BELIEVED_AFTER = timedelta(minutes=30)
"""How long after a conference's end a transcript may still be missing without there being
none: what Google's servers need isn't documented."""

_PAGE_SIZE = 100
_MOST_PAGES = 600
_MOST_ENTRIES = 50_000
_MOST_CONFERENCES = 20
_LONGEST_NAME = 200
_LONGEST_TEXT = 16_000
"""Characters of an utterance; a longer entry becomes several. Google has up to 10,000 words."""

_CODE = re.compile(r"[a-z]+(?:-[a-z]+){2}")
_NAME = re.compile(r"conferenceRecords/[A-Za-z0-9_./-]{1,400}")
_DOCUMENT = re.compile(r"[A-Za-z0-9_-]{10,200}")

_ItemT = TypeVar("_ItemT", bound="_Item")


class GoogleMeetTranscripts:
    """One Google sign-in, as a `TranscriptSource`. Costs nothing until it is asked."""

    def __init__(self, account: GoogleAccount, *, clock: Clock) -> None:
        self._account = replace(account, service_scopes=(_PERMISSION.scope,))
        self._clock = clock
        self._worker = GoogleWorker(self._account, clock=clock)

    @property
    def name(self) -> str:
        return f"google_meet:{self._account.name}"

    @property
    def source(self) -> Source:
        return Source.MEET_TRANSCRIPT

    @property
    def account(self) -> str:
        return self._account.name

    async def fetch(self, meeting: Meeting, *, ended_at: datetime) -> Fetched | None:
        """Ask for a meeting's transcript. See `TranscriptSource`."""
        code = meeting.room.code
        if meeting.room.platform is not Platform.GOOGLE_MEET or not _CODE.fullmatch(code):
            raise PermanentError("it was no Google Meet meeting")
        conferences = await self._conferences(code, meeting, ended_at)
        if not conferences:
            if self._is_overdue(ended_at):
                raise PermanentError("Google Meet shows this account no such conference")
            return None
        if any(each.end_time is None for each in conferences):
            return None  # It goes on without us.
        last = max(each.end_time for each in conferences if each.end_time is not None)
        found = Fetched()
        for conference in conferences:
            part = await self._fetch_one(conference, meeting, ended_at)
            if part is None:
                return None
            found = Fetched(
                (*found.utterances, *part.utterances),
                tuple(dict.fromkeys((*found.participants, *part.participants))),
                (*found.notes, *part.notes),
            )
        if not found.utterances and not self._is_overdue(last):
            return None
        if not found.utterances and not found.notes:
            raise PermanentError("nobody had switched on Google Meet's transcription")
        return found

    def _is_overdue(self, ended_at: datetime) -> bool:
        return self._clock.now() >= ended_at + _BELIEVED_AFTER

    async def check(self) -> tuple[Finding, ...]:
        """Try whether the sign-in covers it. Raises nothing."""
        subject = f"Google Meet's transcripts ({self._account.name})"
        try:
            scopes = status(self._account, now=self._clock.now).scopes
        except HumanNeededError:
            return ()  # The account's own check says so.
        if scopes and not _PERMISSION.is_in(scopes):
            told = f"the sign-in doesn't allow locum {_PERMISSION.what}"
            hint = f"{self._account.login_hint} Leave all permissions ticked."
            return (Finding(subject, Health.BROKEN, told, hint),)
        try:
            await self._list(
                "conferenceRecords",
                lambda api, _: api.conferenceRecords().list(pageSize=1),
                most=1,
            )
        except TransientError as error:
            return (Finding(subject, Health.WARNING, str(error), "Try again in a minute."),)
        except HumanNeededError as error:
            return (Finding(subject, Health.BROKEN, error.args[0], error.hint),)
        except LocumError as error:
            hint = "Its plan may have none: set meet_transcripts = false for that account."
            return (Finding(subject, Health.BROKEN, str(error), hint),)
        return (Finding(subject, Health.OK, "can be asked for"),)

    async def aclose(self) -> None:
        self._worker.close()

    # ── one conference ───────────────────────────────────────────────────────────────────

    async def _conferences(
        self, code: str, meeting: Meeting, ended_at: datetime
    ) -> list[_Conference]:
        wanted = (
            f'space.meeting_code="{code}" '
            f'AND start_time>="{_rfc3339(meeting.start - _BEGAN_BEFORE)}" '
            f'AND start_time<="{_rfc3339(max(ended_at, meeting.end))}"'
        )
        listed = await self._list(
            "conferenceRecords",
            lambda api, token: api.conferenceRecords().list(
                filter=wanted, pageSize=_PAGE_SIZE, pageToken=token
            ),
        )
        found = [
            each
            for each in _read_all(_Conference, listed)
            if each.end_time is None or each.end_time > meeting.start - _EARLY
        ]
        return sorted(found, key=lambda each: each.start_time)[:_MOST_CONFERENCES]

    async def _fetch_one(
        self, conference: _Conference, meeting: Meeting, ended_at: datetime
    ) -> Fetched | None:
        ended = conference.end_time or ended_at
        transcripts = _read_all(
            _Artifact,
            await self._list(
                "transcripts",
                lambda api, token: (
                    api.conferenceRecords()
                    .transcripts()
                    .list(parent=conference.name, pageSize=_PAGE_SIZE, pageToken=token)
                ),
            ),
        )
        # The file is made last, and sometimes never is: its entries are there before.
        is_made = all(each.state == "FILE_GENERATED" for each in transcripts)
        if not is_made and not self._is_overdue(ended):
            return None
        names = await self._participants(conference) if transcripts else {}
        utterances: list[Utterance] = []
        for transcript in transcripts:
            entries = await self._entries(transcript)
            if not entries:
                return None
            utterances += _utterances(entries, names)
        notes = [_note(each, "transcript") for each in transcripts]
        notes += [
            _note(each, "notes by Gemini") for each in await self._smart_notes(conference)
        ]
        return Fetched(
            tuple(_within(utterances, meeting, ended_at)),
            tuple(dict.fromkeys(Person("", name) for name in names.values() if name)),
            tuple(note for note in notes if note is not None),
        )

    async def _participants(self, conference: _Conference) -> dict[str, str]:
        listed = await self._list(
            "participants",
            lambda api, token: (
                api.conferenceRecords()
                .participants()
                .list(parent=conference.name, pageSize=_PAGE_SIZE, pageToken=token)
            ),
        )
        return {each.name: each.shown for each in _read_all(_Participant, listed)}

    async def _entries(self, transcript: _Artifact) -> list[_Entry]:
        listed = await self._list(
            "transcriptEntries",
            lambda api, token: (
                api.conferenceRecords()
                .transcripts()
                .entries()
                .list(parent=transcript.name, pageSize=_PAGE_SIZE, pageToken=token)
            ),
        )
        return _read_all(_Entry, listed)

    async def _smart_notes(self, conference: _Conference) -> list[_Artifact]:
        """Ask for notes by Gemini: a bonus, whose refusal costs us nothing else."""
        try:
            listed = await self._list(
                "smartNotes",
                lambda api, token: (
                    api.conferenceRecords()
                    .smartNotes()
                    .list(parent=conference.name, pageSize=_PAGE_SIZE, pageToken=token)
                ),
            )
        except PermanentError:
            return []
        return _read_all(_Artifact, listed)

    async def _list(
        self, key: str, build: Callable[[Any, str | None], Any], *, most: int = _MOST_PAGES
    ) -> list[object]:
        """Read a list, all its pages or none.

        Raises:
            TransientError: Its pages have no end, or make no sense.
        """
        items: list[object] = []
        token: str | None = None
        seen: set[str] = set()
        for _ in range(most):
            page = await self._page(build, token)
            listed = page.get(key, [])
            if not isinstance(listed, list):
                raise TransientError(f"{self._where}: {key} is no list")
            items += listed
            following = page.get("nextPageToken")
            if not following or len(items) >= _MOST_ENTRIES or most == 1:
                return items[:_MOST_ENTRIES]
            if not isinstance(following, str) or following in seen:
                raise TransientError(f"{self._where}: its pages go round in circles")
            seen.add(following)
            token = following
        raise TransientError(f"{self._where}: over {most} pages of {key}")

    async def _page(
        self, build: Callable[[Any, str | None], Any], token: str | None
    ) -> Mapping[str, object]:
        answer = await self._worker.call(
            lambda client: client.execute_meet(lambda api: build(api, token))
        )
        if not isinstance(answer, dict):
            raise TransientError(f"{self._where}: Google Meet's answer is no list")
        return answer

    @property
    def _where(self) -> str:
        return f"account {self._account.name}"


# ── what Google answers ──────────────────────────────────────────────────────────────────


class _Item(BaseModel):
    name: str = Field(pattern=_NAME)


class _Conference(_Item):
    start_time: AwareDatetime = Field(alias="startTime")
    end_time: AwareDatetime | None = Field(default=None, alias="endTime")


class _Who(BaseModel):
    display_name: str = Field(default="", alias="displayName")


class _Participant(_Item):
    signed_in: _Who | None = Field(default=None, alias="signedinUser")
    anonymous: _Who | None = Field(default=None, alias="anonymousUser")
    phone: _Who | None = Field(default=None, alias="phoneUser")

    @property
    def shown(self) -> str:
        for who in (self.signed_in, self.anonymous, self.phone):
            if who is not None:
                return one_line(who.display_name, limit=_LONGEST_NAME)
        return ""


class _Destination(BaseModel):
    document: str = ""


class _Artifact(_Item):
    """A transcript, or smart notes: what is known of it beside its content."""

    state: str = ""
    destination: _Destination = Field(default=_Destination(), alias="docsDestination")


class _Entry(_Item):
    participant: str = ""
    text: str = ""
    start_time: AwareDatetime | None = Field(default=None, alias="startTime")
    end_time: AwareDatetime | None = Field(default=None, alias="endTime")


def _read_all(kind: type[_ItemT], listed: Iterable[object]) -> list[_ItemT]:
    """Read a list's items; one that can't be read doesn't spoil the rest."""
    found: list[_ItemT] = []
    for item in listed:
        try:
            found.append(kind.model_validate(item))
        except ValidationError:
            continue
    return found


def _utterances(entries: Sequence[_Entry], names: Mapping[str, str]) -> Iterable[Utterance]:
    for entry in entries:
        text = entry.text.encode("utf-8", "replace").decode().strip()
        at = _utc(entry.start_time)
        until = _utc(entry.end_time)
        for number, part in enumerate(_parts(text)):
            yield Utterance(
                id=f"{entry.name}#{number}",
                speaker=names.get(entry.participant, ""),
                text=part,
                at=at,
                until=None if at is None or until is None else max(at, until),
                source=Source.MEET_TRANSCRIPT,
            )


def _parts(text: str) -> Iterable[str]:
    """Cut a text that is too long for one utterance, between two words where there are any."""
    while len(text) > _LONGEST_TEXT:
        end = text.rfind(" ", 1, _LONGEST_TEXT)
        end = _LONGEST_TEXT if end < 0 else end
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    if text:
        yield text


def _within(
    utterances: Iterable[Utterance], meeting: Meeting, ended_at: datetime
) -> Iterable[Utterance]:
    """Leave out what was said long before or after, in a room that many meetings use."""
    begins = meeting.start - _EARLY
    ends = max(meeting.end, ended_at) + _OVERRUN
    return (each for each in utterances if each.at is None or begins <= each.at < ends)


def _note(artifact: _Artifact, what: str) -> EngineNote | None:
    document = artifact.destination.document
    if not _DOCUMENT.fullmatch(document):
        return None
    # Built anew from its id: an address that is answered could lead anywhere.
    return EngineNote(
        f"Google Meet: {what}", f"https://docs.google.com/document/d/{document}/view"
    )


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(timezone.utc)


def _rfc3339(instant: datetime) -> str:
    return f"{instant.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
