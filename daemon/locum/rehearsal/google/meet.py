"""The stage's Google Meet REST API (v2): what is known of a conference once it was held.

Its state is the rooms themselves: a conference is while anybody is in a room, and what people
said there is its transcript, where transcription was on. As with Google, the transcript is
ready only some time after the end, and gone after 30 days.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from locum.rehearsal.google.errors import ApiError
from locum.rehearsal.google.times import UTC, parse_instant
from locum.rehearsal.google.tokens import PageToken, print_of, read_page_token
from locum.rehearsal.rooms import Rooms, Utterance, Visit

SCOPES = ("meetings.space.readonly", "meetings.space.created")
KEPT = timedelta(days=30)
_SECONDS_A_WORD = 0.4
_LARGEST_PAGE = 100
_USUAL_PAGE = 10

_TERM = re.compile(
    r"""\s*(?:(?P<null>end_time\s+IS\s+NULL)
    |(?P<field>space\.meeting_code|space\.name|start_time|end_time)
     \s*(?P<sign><=|>=|=|<|>)\s*"(?P<value>[^"]*)")\s*""",
    re.VERBOSE,
)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass
class MeetStage:
    """What Meet knows, and how it behaves; all of it may be changed while it serves.

    `transcribed` are the rooms in which somebody switched transcription on (None: everywhere),
    `transcripts_after` is how long the entries take after the end, or None if they never come.
    `ahead` is by how much Meet's clock differs; `hidden_from` are accounts that see nothing;
    `page_size` caps every page.
    """

    now: Callable[[], datetime]
    rooms: Rooms | None = None
    transcribed: frozenset[str] | None = frozenset()
    transcripts_after: timedelta | None = timedelta(minutes=3)
    smart_notes: bool = False
    ahead: timedelta = timedelta(0)
    hidden_from: set[str] = field(default_factory=set)
    page_size: int | None = None

    # ── what the application asks ────────────────────────────────────────────────────────

    def list_conferences(self, email: str, query: Mapping[str, str]) -> dict[str, Any]:
        wanted = _read_filter(query.get("filter", ""))
        found = [each for each in self._conferences(email) if wanted(each, self.ahead)]
        found.sort(key=lambda each: each.started_at, reverse=True)
        shown = [self._record(each) for each in found]
        return self._paged("conferenceRecords", shown, query)

    def get(self, email: str, name: str) -> dict[str, Any]:
        """Answer one resource by its name.

        Raises:
            ApiError: 404.
        """
        parts = name.split("/")
        for size in range(2, len(parts), 2):
            self.get(email, "/".join(parts[:size]))
        listed = self._listed(email, parts)
        for item in listed:
            if item["name"] == name:
                return item
        raise ApiError(404, "notFound", "Requested entity was not found.")

    def list_under(self, email: str, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer a page of what is under a resource: `name` ends with the kind.

        Raises:
            ApiError: 404, it hangs on nothing.
        """
        parent, _, kind = name.rpartition("/")
        self.get(email, parent)
        key = "transcriptEntries" if kind == "entries" else kind
        return self._paged(key, self._listed(email, [*name.split("/"), ""]), query)

    def _listed(self, email: str, parts: Sequence[str]) -> list[dict[str, Any]]:
        """Answer the resources beside the one that `parts` name."""
        conferences = self._conferences(email)
        match parts:
            case ["conferenceRecords", _]:
                return [self._record(each) for each in conferences]
            case ["conferenceRecords", key, kind, *rest]:
                found = next((each for each in conferences if each.key == key), None)
                if found is None:
                    return []
                return self._under(found, (kind, *rest[1:2]))
            case _:
                return []

    def _under(self, conference: Conference, kinds: Sequence[str]) -> list[dict[str, Any]]:
        match tuple(kinds):
            case ("participants",):
                return [self._participant(conference, name) for name in conference.names]
            case ("transcripts",):
                return list(
                    self._artifacts(conference, "transcripts", on=self._is_on(conference))
                )
            case ("smartNotes",):
                return list(self._artifacts(conference, "smartNotes", on=self.smart_notes))
            case ("transcripts", "entries"):
                return list(self._entries(conference))
            case _:
                return []

    # ── what is so ───────────────────────────────────────────────────────────────────────

    def _conferences(self, email: str) -> list[Conference]:
        if self.rooms is None or email in self.hidden_from:
            return []
        rooms = {visit.room for visit in self.rooms.visits()}
        found = (each for room in sorted(rooms) for each in _conferences_of(self.rooms, room))
        now = self.now()
        return [each for each in found if each.ended_at is None or now < each.ended_at + KEPT]

    def _is_on(self, conference: Conference) -> bool:
        return self.transcribed is None or conference.room in self.transcribed

    def _is_ready(self, conference: Conference) -> bool:
        if conference.ended_at is None or self.transcripts_after is None:
            return False
        return self.now() >= conference.ended_at + self.transcripts_after

    def _record(self, conference: Conference) -> dict[str, Any]:
        record = {
            "name": conference.name,
            "space": f"spaces/{_digest(conference.room)}",
            "startTime": self._stamp(conference.started_at),
        }
        if conference.ended_at is not None:
            record["endTime"] = self._stamp(conference.ended_at)
            record["expireTime"] = self._stamp(conference.ended_at + KEPT)
        return record

    def _participant(self, conference: Conference, name: str) -> dict[str, Any]:
        visits = [visit for visit in conference.visits if visit.name == name]
        entered = min(visit.entered_at for visit in visits if visit.entered_at is not None)
        shown: dict[str, Any] = {
            "name": conference.participant(name),
            "earliestStartTime": self._stamp(entered),
        }
        left = [visit.left_at for visit in visits]
        if None not in left:
            shown["latestEndTime"] = self._stamp(max(at for at in left if at is not None))
        if name.startswith("+"):
            shown["phoneUser"] = {"displayName": name}
        elif any(visit.is_bot for visit in visits):
            shown["anonymousUser"] = {"displayName": name}
        else:
            user = int(_digest(name), 16) % 10**20
            shown["signedinUser"] = {"displayName": name, "user": f"users/{user}"}
        return shown

    def _artifacts(
        self, conference: Conference, kind: str, *, on: bool
    ) -> Iterator[dict[str, Any]]:
        if not on:
            return
        shown: dict[str, Any] = {
            "name": f"{conference.name}/{kind}/{_digest(conference.key + kind)}",
            "startTime": self._stamp(conference.started_at),
            "state": "STARTED",
        }
        if conference.ended_at is not None:
            shown["endTime"] = self._stamp(conference.ended_at)
            shown["state"] = "ENDED"
        if self._is_ready(conference):
            shown["state"] = "FILE_GENERATED"
            document = _digest(conference.key + kind + "document")
            address = f"https://docs.google.com/document/d/{document}/view"
            shown["docsDestination"] = {"document": document, "exportUri": address}
        yield shown

    def _entries(self, conference: Conference) -> Iterator[dict[str, Any]]:
        if not self._is_ready(conference):
            return
        transcript = next(
            iter(self._artifacts(conference, "transcripts", on=self._is_on(conference))), None
        )
        for number, said in enumerate(conference.said if transcript else ()):
            assert transcript is not None  # noqa: S101 - There are no entries without one.
            following = [each.at for each in conference.said[number + 1 : number + 2]]
            lasts = timedelta(seconds=len(said.text.split()) * _SECONDS_A_WORD)
            yield {
                "name": f"{transcript['name']}/entries/{number:06}",
                "participant": conference.participant(said.speaker),
                "text": said.text,
                "languageCode": "en-US",
                "startTime": self._stamp(said.at),
                "endTime": self._stamp(min([said.at + lasts, *following])),
            }

    def _stamp(self, instant: datetime) -> str:
        return f"{(instant + self.ahead).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"

    # ── pages ────────────────────────────────────────────────────────────────────────────

    def _paged(
        self, key: str, items: Sequence[dict[str, Any]], query: Mapping[str, str]
    ) -> dict[str, Any]:
        try:
            asked = int(query.get("pageSize") or 0)
        except ValueError:
            raise ApiError(400, "invalid", "Invalid value at 'page_size'.") from None
        if asked < 0:
            raise ApiError(400, "invalid", "page_size must not be negative.")
        size = min(asked or _USUAL_PAGE, _LARGEST_PAGE, self.page_size or _LARGEST_PAGE)
        same = print_of({"key": key, "filter": query.get("filter", "")})
        begin = 0
        if token := query.get("pageToken"):
            after = read_page_token(token, list_id=key, query=same).after
            begin = int(after[0]) if after else 0
        answer: dict[str, Any] = {}
        if page := list(items[begin : begin + size]):
            answer[key] = page
        if begin + size < len(items):
            answer["nextPageToken"] = PageToken(key, same, (begin + size,), 0).write()
        return answer


@dataclass(frozen=True)
class Conference:
    """One time that a room was in use, from the first who came to the last who left."""

    key: str
    room: str
    started_at: datetime
    ended_at: datetime | None
    visits: tuple[Visit, ...]
    said: tuple[Utterance, ...]

    @property
    def name(self) -> str:
        return f"conferenceRecords/{self.key}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(visit.name for visit in self.visits))

    def participant(self, name: str) -> str:
        return f"{self.name}/participants/{_digest(name)}"


def _conferences_of(rooms: Rooms, room: str) -> Iterator[Conference]:
    visits = sorted(
        ((visit.entered_at, visit) for visit in rooms.visits(room) if visit.entered_at),
        key=operator.itemgetter(0),
    )
    said = rooms.utterances(room)
    number = 0
    while visits:
        number += 1
        started_at = visits[0][0]
        together: list[Visit] = []
        ended_at: datetime | None = started_at
        while visits and (ended_at is None or visits[0][0] <= ended_at):
            visit = visits.pop(0)[1]
            together.append(visit)
            if ended_at is not None:
                ended_at = None if visit.left_at is None else max(ended_at, visit.left_at)
        yield Conference(
            key=_digest(f"{room}#{number}#{started_at.isoformat()}"),
            room=room,
            started_at=started_at,
            ended_at=ended_at,
            visits=tuple(together),
            said=tuple(
                each
                for each in said
                if started_at <= each.at and (ended_at is None or each.at <= ended_at)
            ),
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


_Wanted = Callable[[Conference, timedelta], bool]


def _read_filter(text: str) -> _Wanted:
    """Read a filter: terms with AND between them.

    Raises:
        ApiError: 400.
    """
    tests: list[_Wanted] = []
    for term in re.split(r"\bAND\b", text) if text.strip() else ():
        match = _TERM.fullmatch(term)
        if match is None:
            raise ApiError(400, "invalid", f"Invalid filter: {term.strip()!r}")
        tests.append(_ends_never if match["null"] else _test_of(match))
    return lambda conference, ahead: all(test(conference, ahead) for test in tests)


def _ends_never(conference: Conference, _ahead: timedelta) -> bool:
    return conference.ended_at is None


def _test_of(match: re.Match[str]) -> _Wanted:
    sign, value = _SIGNS[match["sign"]], match["value"]
    if match["field"].startswith("space."):
        if match["sign"] != "=":
            raise ApiError(400, "invalid", f"Invalid filter: {match[0].strip()!r}")
        by_code = match["field"] == "space.meeting_code"
        return lambda conference, _: (
            value == (conference.room if by_code else f"spaces/{_digest(conference.room)}")
        )
    try:
        instant = parse_instant(value).astimezone(UTC)
    except ValueError as error:
        raise ApiError(400, "invalid", f"Invalid timestamp: {value!r}") from error

    def test(conference: Conference, ahead: timedelta) -> bool:
        at = conference.started_at if match["field"] == "start_time" else conference.ended_at
        return at is not None and sign(at + ahead, instant)

    return test


# ── errors ───────────────────────────────────────────────────────────────────────────────

_CANONICAL = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_REASONS = {
    "insufficientPermissions": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "accessNotConfigured": "SERVICE_DISABLED",
    "rateLimitExceeded": "RATE_LIMIT_EXCEEDED",
    "authError": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
}


def meet_error(
    status: int, reason: str, message: str | None = None
) -> tuple[int, dict[str, Any]]:
    """Answer status and body of a refusal as Google's newer APIs write it."""
    status = 429 if reason == "rateLimitExceeded" else status
    error: dict[str, Any] = {
        "code": status,
        "message": message or reason,
        "status": _CANONICAL.get(status, "UNKNOWN"),
    }
    if reason in _REASONS:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": _REASONS[reason],
                "domain": "googleapis.com",
                "metadata": {"service": "meet.googleapis.com"},
            }
        ]
    return status, {"error": error}


def is_meets(path: str) -> bool:
    return path.startswith("/v2/")
