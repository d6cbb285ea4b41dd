"""The table of verdicts: what each means for the record, and whether another try makes sense."""

from __future__ import annotations

import pytest

from locum.core.lifecycle import WORTH_ANOTHER_TRY
from locum.core.model import EndReason
from locum.engines.chromium.texts import Screen
from locum.engines.chromium.verdicts import OF_SCREEN, Again, Verdict
from locum.errors import HumanNeededError, PermanentError, TransientError

TABLE = {
    Verdict.NOT_LOADED: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.NOTHING_KNOWN: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.CRASHED: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.SILENT: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.TROUBLE: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.UNPROVED: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.CUT_OFF: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.PUT_OUT: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.FULL: (EndReason.NOT_ADMITTED, Again.LATER),
    Verdict.NO_ANSWER: (EndReason.NOT_ADMITTED, Again.LATER),
    Verdict.NOT_IN_TIME: (EndReason.NOT_ADMITTED, Again.NEVER),
    Verdict.IN_ALREADY: (EndReason.ENGINE_LOST, Again.LATER),
    Verdict.BLOCKED: (EndReason.ENGINE_REFUSED, Again.AFTER_A_PERSON),
    Verdict.SIGN_IN: (EndReason.ENGINE_REFUSED, Again.AFTER_A_PERSON),
    Verdict.DENIED: (EndReason.DENIED, Again.NEVER),
    Verdict.UNKNOWN_CODE: (EndReason.ENGINE_REFUSED, Again.NEVER),
    Verdict.EXPIRED: (EndReason.ENGINE_REFUSED, Again.NEVER),
    Verdict.NOT_AGREED: (EndReason.ENGINE_REFUSED, Again.NEVER),
    Verdict.REPLACED: (EndReason.REMOVED, Again.NEVER),
    Verdict.REMOVED: (EndReason.REMOVED, Again.NEVER),
    Verdict.ENDED: (EndReason.MEETING_OVER, Again.NEVER),
}
ERRORS = {
    Again.LATER: TransientError,
    Again.NEVER: PermanentError,
    Again.AFTER_A_PERSON: HumanNeededError,
}


def test_the_table_names_every_verdict() -> None:
    """None is forgotten, and none is another one under a second name."""
    assert set(TABLE) == set(Verdict.__members__.values())
    assert len(Verdict) == len(Verdict.__members__)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_verdict_has_its_reason_its_rule_and_its_error(verdict: Verdict) -> None:
    """What is raised at the door asks for the same as what is told by a session."""
    error = verdict.error("seen so", hint="Do this.")

    assert (verdict.reason, verdict.again) == TABLE[verdict]
    assert type(error) is ERRORS[verdict.again]
    assert verdict.says[1:] in str(error)
    assert ("Do this." in str(error)) == (verdict.again is Again.AFTER_A_PERSON)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_nobody_who_was_turned_away_by_a_person_knocks_again(verdict: Verdict) -> None:
    """The loop tries again after some reasons; those are only of verdicts that allow it."""
    if verdict.again is not Again.LATER and verdict is not Verdict.NOT_IN_TIME:
        assert verdict.reason not in WORTH_ANOTHER_TRY
    if verdict.again is Again.LATER:
        assert verdict.reason in WORTH_ANOTHER_TRY


def test_every_screen_but_the_lobby_is_a_verdict() -> None:
    """The lobby is a wait: it is neither an end nor a way in."""
    assert set(OF_SCREEN) == set(Screen) - {Screen.LOBBY}
