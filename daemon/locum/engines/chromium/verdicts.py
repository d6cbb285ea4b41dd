"""Every way in which being in a room can fail or end: what it means, and what may be done next.

The lobby is no verdict: it is never taken for joined, and ends as one of these. Nobody who was
denied knocks again.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from locum.core.model import EndReason
from locum.engines.chromium.texts import Screen
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError


class Again(enum.Enum):
    """Whether another try makes sense."""

    NEVER = "never"
    LATER = "later"
    AFTER_A_PERSON = "after a person"  #: Only once somebody has done something.


@dataclass(frozen=True)
class _Ruling:
    reason: EndReason
    again: Again
    says: str
    wait: timedelta = timedelta(0)


class Verdict(enum.Enum):
    """How it went. `reason` is for the record, `again` is the rule for another try."""

    NOT_LOADED = _Ruling(EndReason.ENGINE_LOST, Again.LATER, "the meeting's page doesn't load")
    NOTHING_KNOWN = _Ruling(
        EndReason.ENGINE_LOST, Again.LATER, "the page shows nothing that we know"
    )
    CRASHED = _Ruling(EndReason.ENGINE_LOST, Again.LATER, "the page or its browser crashed")
    SILENT = _Ruling(EndReason.ENGINE_LOST, Again.LATER, "the page doesn't answer any more")
    TROUBLE = _Ruling(EndReason.ENGINE_LOST, Again.LATER, "Meet says that something went wrong")
    UNPROVED = _Ruling(
        EndReason.ENGINE_LOST,
        Again.LATER,
        "the page says that we are in, and nothing proves it",
    )
    CUT_OFF = _Ruling(EndReason.ENGINE_LOST, Again.LATER, "the connection didn't come back")
    PUT_OUT = _Ruling(
        EndReason.ENGINE_LOST, Again.LATER, "the page has left the call, and doesn't say why"
    )
    FULL = _Ruling(
        EndReason.NOT_ADMITTED, Again.LATER, "the meeting is full", timedelta(seconds=30)
    )
    NO_ANSWER = _Ruling(
        EndReason.NOT_ADMITTED, Again.LATER, "nobody answered our request to join"
    )
    NOT_IN_TIME = _Ruling(EndReason.NOT_ADMITTED, Again.NEVER, "nobody let us in in time")
    IN_ALREADY = _Ruling(
        EndReason.ENGINE_LOST,
        Again.LATER,
        "somebody is in this meeting with this account already",
        timedelta(seconds=60),
    )
    BLOCKED = _Ruling(
        EndReason.ENGINE_REFUSED, Again.AFTER_A_PERSON, "Meet doesn't let us join this call"
    )
    SIGN_IN = _Ruling(
        EndReason.ENGINE_REFUSED, Again.AFTER_A_PERSON, "Meet wants somebody to sign in"
    )
    DENIED = _Ruling(EndReason.DENIED, Again.NEVER, "somebody in the call denied our request")
    UNKNOWN_CODE = _Ruling(
        EndReason.ENGINE_REFUSED, Again.NEVER, "Meet doesn't know this meeting's code"
    )
    EXPIRED = _Ruling(EndReason.ENGINE_REFUSED, Again.NEVER, "the meeting's code has expired")
    NOT_AGREED = _Ruling(
        EndReason.ENGINE_REFUSED,
        Again.NEVER,
        "it is done with the meeting what we don't agree to",
    )
    REMOVED = _Ruling(EndReason.REMOVED, Again.NEVER, "somebody removed us from the meeting")
    REPLACED = _Ruling(
        EndReason.REMOVED,
        Again.NEVER,
        "the account has gone on with the call on another device",
    )
    ENDED = _Ruling(EndReason.MEETING_OVER, Again.NEVER, "the call has ended")

    @property
    def reason(self) -> EndReason:
        return self.value.reason

    @property
    def again(self) -> Again:
        return self.value.again

    @property
    def says(self) -> str:
        return self.value.says

    def error(self, detail: str, *, hint: str) -> LocumError:
        """Answer what `join` raises, where it comes to this before there is a session.

        `hint` is a person's next step, where only a person can help.
        """
        words = f"{self.says}{detail and f' ({detail})'}"
        message = f"{words[:1].upper()}{words[1:]}."
        if self.again is Again.AFTER_A_PERSON:
            return HumanNeededError(message, hint=hint)
        if self.again is Again.LATER:
            return TransientError(message, retry_after=self.value.wait)
        return PermanentError(message)


OF_SCREEN = {
    Screen.DENIED: Verdict.DENIED,
    Screen.NO_ANSWER: Verdict.NO_ANSWER,
    Screen.BLOCKED: Verdict.BLOCKED,
    Screen.SIGN_IN: Verdict.SIGN_IN,
    Screen.EXPIRED: Verdict.EXPIRED,
    Screen.UNKNOWN_CODE: Verdict.UNKNOWN_CODE,
    Screen.FULL: Verdict.FULL,
    Screen.REMOVED: Verdict.REMOVED,
    Screen.ENDED: Verdict.ENDED,
    Screen.LEFT: Verdict.PUT_OUT,
    Screen.REPLACED: Verdict.REPLACED,
    Screen.HOME: Verdict.PUT_OUT,
    Screen.TROUBLE: Verdict.TROUBLE,
}
"""What a screen means to somebody who didn't ask to leave. The lobby isn't among them."""


class EndedError(Exception):
    """Where a verdict is come to; it never leaves the engine."""

    def __init__(self, verdict: Verdict, detail: str = "") -> None:
        super().__init__(f"{verdict.says}{detail and f' ({detail})'}")
        self.verdict = verdict
        self.detail = detail
