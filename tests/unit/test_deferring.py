"""What was taken along, and what was promised, stands in the minutes with its quote."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from locum.core.deferring import with_ours
from locum.core.minutes import ActionItem, Claim, Evidence, Minutes, Occasion
from locum.core.transcript import Deferral, Transcript, Utterance, numbered

AT = datetime(2026, 3, 2, 9, tzinfo=timezone.utc)  # A Monday.
OCCASION = Occasion(start=AT, owner="Alex Winter", stand_in="Robin")
EMPTY = Minutes(written_by="rules", dropped=2)
TILE = "Robin (AI stand-in for Alex Winter)"


def heard(*lines: tuple[str, str]) -> Transcript:
    return numbered(
        [
            Utterance("", who, text, AT + timedelta(seconds=10 * n), by_us=who == TILE)
            for n, (who, text) in enumerate(lines)
        ]
    )


def asked(question: str, *, by: str = "Dana", at: int = 5) -> Deferral:
    return Deferral(AT + timedelta(seconds=at), by, question)


TRANSCRIPT = heard(
    ("Dana", "Robin, can you promise the gauges by Friday?"),
    (TILE, "I can't promise that; I'll take it to Alex."),
    (TILE, "Of course. I'll send you the meeting notes by Wednesday. Bye."),
)


def test_a_deferral_stands_in_asked_with_the_words_that_were_heard() -> None:
    """Who asked, what, and where it stands; nothing is dropped or counted for it."""
    made = with_ours(EMPTY, TRANSCRIPT, [asked(TRANSCRIPT.utterances[0].text)], OCCASION)

    [claim] = made.asked
    assert claim.text == "Dana: Robin, can you promise the gauges by Friday?"
    assert claim.evidence == (Evidence("u1", "Robin, can you promise the gauges by Friday"),)
    assert made.dropped == 2


def test_it_is_found_where_a_better_source_has_other_words() -> None:
    """Meet's own transcript may have heard better: the quote is what stands there."""
    poor = asked("robbing can you promise the gauge by friday", by="")

    [claim] = with_ours(EMPTY, TRANSCRIPT, [poor], OCCASION).asked

    assert claim.evidence[0].quote == "Robin, can you promise the gauges by Friday"


def test_what_nobody_said_isnt_added() -> None:
    """Another's words, other words, or another time: no claim without its quote."""
    strange = [
        asked("Does the moon rise in Norwich tonight?"),
        asked("can you promise gauges on Friday now", by="Jonas"),
        asked("can you promise gauges on Friday now", at=4000),
    ]

    assert with_ours(EMPTY, TRANSCRIPT, strange, OCCASION).asked == ()


def test_what_the_minutes_have_isnt_added_again() -> None:
    """Neither what a writer found, nor what was deferred twice."""
    question = TRANSCRIPT.utterances[0].text.rstrip("?")
    had = replace(EMPTY, asked=(Claim("Promise the gauges", (Evidence("u1", question),)),))
    action = ActionItem(
        "sends notes", (Evidence("u3", "I'll send you the meeting notes"),), owner="Alex Winter"
    )
    had = replace(had, actions=(action,))

    made = with_ours(had, TRANSCRIPT, [asked(question), asked(question)], OCCASION)

    assert made.asked == had.asked
    assert len(made.actions) == 1


def test_what_it_promised_is_the_owners() -> None:
    """With its day and its words, said by the stand-in; a refusal is no promise."""
    [action] = with_ours(EMPTY, TRANSCRIPT, [], OCCASION).actions

    assert action.text == "I'll send you the meeting notes by Wednesday. (said by the stand-in)"
    assert action.owner == "Alex Winter"
    assert action.due == date(2026, 3, 4)
    assert action.evidence == (Evidence("u3", "I'll send you the meeting notes by Wednesday"),)


def test_greetings_promise_nothing() -> None:
    """What every stand-in says when it comes in, aloud and in the chat."""
    from pathlib import Path

    from locum.persona import PersonaCard, greeting, introduction

    card = PersonaCard("robin", "Robin", "Alex Winter", Path("face.png"), "")
    said = heard((TILE, greeting(card)), (TILE, introduction(card)))

    assert with_ours(EMPTY, said, [], OCCASION).actions == ()
