"""What waits to be filed, and what a person asks for: to file it or its transcript once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from locum.core.model import SessionKey, SessionRecord
from locum.debrief import Debrief
from locum.errors import PermanentError
from locum.gathering import Gathering
from locum.ledger import Filing, Ledger

_LOOKED_AT = 500
"""Sessions; those before are named by their key."""


class FilingDesk:
    """Has summaries filed again; `wake` lets the next pass come now."""

    def __init__(
        self,
        ledger: Ledger,
        debrief: Debrief,
        gathering: Gathering,
        wake: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._debrief = debrief
        self._gathering = gathering
        self._wake = wake

    async def again(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have a meeting's newest summary put to its sinks once more, or to one of them.

        Answers before it is done: the ledger says how it goes.
        """
        record = self._one(str(args.get("meeting") or ""))
        sink = str(args.get("sink") or "")
        known = [each.name for each in self._debrief.sinks]
        if sink and sink not in known:
            names = ", ".join(known) or "none"
            raise PermanentError(f'There is no sink "{sink}" in the config. There is: {names}.')
        self._ledger.outbox.again(record.key, sink or None)
        self._debrief.renew(record.key)
        self._wake()
        return {**_named(record), "sinks": [sink] if sink else known}

    async def fetch(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have a meeting's transcript asked for once more, wherever there was none.

        Answers before it is done, with how often each source was asked until now.
        """
        record = self._one(str(args.get("meeting") or ""))
        asked = self._gathering.ask_again(record)
        tries = {f"{each.meeting} {each.source}": each.attempts for each in asked}
        return {**_named(record), "tries": tries}

    def _one(self, text: str) -> SessionRecord:
        """Answer the session that `text` means; without one, the last that has a summary."""
        filed = {session for session, _ in self._ledger.outbox.meetings()}
        exact = self._ledger.sessions.get(SessionKey(text)) if text else None
        if exact is not None and exact.key in filed:
            return exact
        wanted = text.casefold()
        found = [
            record
            for record in self._ledger.sessions.newest(_LOOKED_AT)
            if record.key in filed and _is_called(record, wanted)
        ]
        if not found:
            called = f' of anything called "{text}"' if text else ""
            raise PermanentError(f"There is no summary{called} yet. See `locum status`.")
        if len(found) == 1 or not text:
            return found[0]
        if len({record.meetings[0].title for record in found}) == 1:
            return found[0]  # A series: the newest.
        names = "; ".join(f'"{each.meetings[0].title}": {each.key}' for each in found[:5])
        raise PermanentError(f"{len(found)} meetings fit; name one by its key: {names}")


def _named(record: SessionRecord) -> dict[str, Any]:
    meeting = record.meetings[0]
    return {
        "session": record.key,
        "title": meeting.title,
        "start": meeting.start.isoformat(),
    }


def _is_called(record: SessionRecord, wanted: str) -> bool:
    return any(
        wanted in meeting.title.casefold() or wanted == meeting.key.casefold()
        for meeting in record.meetings
    )


def waiting(ledger: Ledger) -> list[dict[str, Any]]:
    """Answer what isn't filed yet, the oldest first, and why."""
    return [report(filing, ledger) for filing in ledger.outbox.open()]


def of_session(ledger: Ledger, session: SessionKey) -> list[dict[str, Any]]:
    return [report(filing, ledger) for filing in ledger.outbox.of(session)]


def report(filing: Filing, ledger: Ledger) -> dict[str, Any]:
    record = ledger.sessions.get(filing.session)
    meetings = () if record is None else record.meetings
    meeting = next((each for each in meetings if each.key == filing.meeting), None)
    return {
        "meeting": filing.meeting,
        "session": filing.session,
        "title": "" if meeting is None else meeting.title,
        "start": None if meeting is None else meeting.start.isoformat(),
        "sink": filing.sink,
        "state": _state(filing),
        "attempts": filing.attempts,
        "retry_at": _iso(filing.retry_at),
        "filed_at": _iso(filing.filed_at),
        "location": filing.location,
        "problem": filing.problem,
    }


def transcripts_of(
    ledger: Ledger, session: SessionKey, tries: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Answer what each source has said of a session.

    `tries` is what `FilingDesk.fetch` told: what hasn't been tried since is "being asked".
    """
    told = []
    for fetch in ledger.fetches.of(session):
        before = tries.get(f"{fetch.meeting} {fetch.source}")
        is_asked = fetch.outcome is None and fetch.attempts == before
        state = "awaited" if fetch.outcome is None else fetch.outcome.value
        told.append(
            {
                "meeting": fetch.meeting,
                "source": fetch.source,
                "label": fetch.label,
                "state": "being asked" if is_asked else state,
                "problem": fetch.problem,
                "next_at": _iso(None if fetch.outcome else fetch.next_at),
            }
        )
    return told


def _state(filing: Filing) -> str:
    if filing.filed_at is not None:
        return "filed"
    return "failed" if filing.problem else "waiting"


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
