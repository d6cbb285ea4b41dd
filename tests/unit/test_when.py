"""Which day is meant by which words, and which words mean none."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.when import Due, fits, resolve_due, without_due

WEDNESDAY = date(2026, 11, 25)

thorough = settings(max_examples=1000, derandomize=True, deadline=None)

ENGLISH = {
    "by Friday": "2026-11-27",
    "this Friday": "2026-11-27",
    "next Friday": "2026-12-04",
    "next Tuesday": "2026-12-01",
    "on Wednesday": "2026-12-02",
    "Friday after next": "2026-12-04",
    "a week from Monday": "2026-12-07",
    "Thursday next week": "2026-12-03",
    "next week Thursday": "2026-12-03",
    "by Fri": "2026-11-27",
    "today": "2026-11-25",
    "tomorrow": "2026-11-26",
    "first thing tomorrow": "2026-11-26",
    "by tomorrow noon": "2026-11-26",
    "the day after tomorrow": "2026-11-27",
    "this afternoon": "2026-11-25",
    "EOD": "2026-11-25",
    "by EOD Friday": "2026-11-27",
    "by close of business tomorrow": "2026-11-26",
    "by 5 pm": "2026-11-25",
    "right after this call": "2026-11-25",
    "in an hour": "2026-11-25",
    "within 24 hours": "2026-11-26",
    "in two weeks": "2026-12-09",
    "two weeks from today": "2026-12-09",
    "in ten working days": "2026-12-09",
    "in 3 months": "2027-02-25",
    "by the end of the week": "2026-11-27",
    "next week": "2026-12-04",
    "early next week": "2026-12-01",
    "by the end of next week": "2026-12-04",
    "the week after next": "2026-12-11",
    "over the weekend": "2026-11-29",
    "before the weekend": "2026-11-27",
    "end of the month": "2026-11-30",
    "next month": "2026-12-31",
    "end of January": "2027-01-31",
    "mid-January": "2027-01-15",
    "in March": "2027-03-31",
    "at the end of Q1": "2027-03-31",
    "by year end": "2026-12-31",
    "by Christmas": "2026-12-25",
    "before the 14th": "2026-12-14",
    "by the 30th": "2026-11-30",
    "by the 31st": "2026-12-31",
    "by the twenty-first": "2026-12-21",
    "on March 3rd": "2027-03-03",
    "by the first of February": "2027-02-01",
    "by Monday, December 14th, at the latest": "2026-12-14",
    "Tuesday the 1st": "2026-12-01",
    "2026-12-03": "2026-12-03",
    "by 12/14": "2026-12-14",
    "25/12/2026": "2026-12-25",
    "by Friday - no, Monday": "2026-11-30",
    "Friday? No, wait, Friday you're away. Say Wednesday.": "2026-12-02",
    "not Friday, by Monday": "2026-11-30",
    "we talk on Thursday, so I need it by tomorrow": "2026-11-26",
}
GERMAN = {
    "bis Freitag": "2026-11-27",
    "nächsten Dienstag": "2026-12-01",
    "kommenden Montag": "2026-11-30",
    "Donnerstag nächster Woche": "2026-12-03",
    "Freitag in einer Woche": "2026-12-04",
    "heute Abend": "2026-11-25",
    "gleich morgen": "2026-11-26",
    "bis morgen Mittag": "2026-11-26",
    "übermorgen": "2026-11-27",
    "in zwei Wochen": "2026-12-09",
    "in 14 Tagen": "2026-12-09",
    "in acht Tagen": "2026-12-02",
    "noch diese Woche": "2026-11-27",
    "nächste Woche": "2026-12-04",
    "bis Ende der Woche": "2026-11-27",
    "Ende nächster Woche": "2026-12-04",
    "bis Ende des Monats": "2026-11-30",
    "bis Mitte Januar": "2027-01-15",
    "am 3. März": "2027-03-03",
    "bis zum 2. Dezember": "2026-12-02",
    "auf den 18. Dezember": "2026-12-18",
    "bis 18.12.": "2026-12-18",
    "am 18.12.2026": "2026-12-18",
    "auf den Zehnten": "2026-12-10",
    "bis Freitag, nein, Montag": "2026-11-30",
}
NO_DAY = (
    "",
    "soon",
    "next time",
    "some day",
    "in a few days",
    "bald",
    "irgendwann",
    "demnächst",
    "03/04/2026",
    "Tuesday the 3rd",
    "by 31 November",
    "I may look at it",
    "we had 3 people on it",
    "4 of the 10 tickets",
    "version 3.12",
    "python 3.12.",
    "the second page",
    "the 14th floor",
    "I sent it yesterday",
    "last Friday",
    "every Friday",
    "on Fridays",
    "since Monday",
    "after Friday",
    "not before next week",
    "not this week",
    "ab Freitag",
    "nicht vor Freitag",
    "Guten Morgen",
    "montags",
    "how was the week",
    "the sun is out, wed in white",
    "on November 3rd",
    "in the year 99999",
    "by 2026-13-45",
)


@pytest.mark.parametrize(("said", "expected"), [*ENGLISH.items(), *GERMAN.items()])
def test_words_name_a_day(said: str, expected: str) -> None:
    """What people say on a Wednesday means one day."""
    found = resolve_due(said, on=WEDNESDAY)

    assert found is not None
    assert date.fromisoformat(expected) == found.day


@pytest.mark.parametrize("said", NO_DAY)
def test_other_words_name_none(said: str) -> None:
    """Vague, past, repeated and ambiguous words are no due day."""
    assert resolve_due(said, on=WEDNESDAY) is None


def test_weekend_counts_on() -> None:
    """Said on a Saturday, "this week" is its Sunday and "next week" the week that begins then."""
    saturday = date(2026, 11, 28)

    assert resolve_due("by the end of this week", on=saturday) == Due(
        date(2026, 11, 29), "by the end of this week"
    )
    assert resolve_due("next Monday", on=saturday) == Due(date(2026, 11, 30), "next Monday")


def test_leap_day_is_the_next_one() -> None:
    """The 29th of February is that of the next leap year."""
    found = resolve_due("by February 29th", on=WEDNESDAY)

    assert found is not None
    assert date(2028, 2, 29) == found.day


def test_said_stands_in_the_text() -> None:
    """What is answered as said can be quoted."""
    found = resolve_due("I'll send you the draft by Friday, promise.", on=WEDNESDAY)

    assert found == Due(date(2026, 11, 27), "by Friday")
    assert without_due("I'll send the draft by Friday, promise.", found) == (
        "I'll send the draft promise."
    )


def test_model_is_checked_leniently() -> None:
    """Any fair reading of the words passes; another day doesn't."""
    assert fits(date(2026, 11, 27), "next Friday", on=WEDNESDAY)
    assert fits(date(2026, 12, 4), "next Friday", on=WEDNESDAY)
    assert fits(date(2026, 12, 2), "next week", on=WEDNESDAY)
    assert fits(date(2026, 12, 14), "before the 14th", on=WEDNESDAY)
    assert fits(date(2026, 12, 13), "before the 14th", on=WEDNESDAY)
    assert not fits(date(2026, 11, 28), "by Friday", on=WEDNESDAY)
    assert not fits(date(2026, 12, 14), "soon", on=WEDNESDAY)


@thorough
@given(
    st.lists(
        st.sampled_from([*ENGLISH, *GERMAN, *NO_DAY, "no", "actually", ",", "."]), max_size=6
    ),
    st.dates(),
)
def test_any_words_on_any_day(parts: list[str], on: date) -> None:
    """Whatever is said, and whenever: a day that is not past and can be quoted, or none."""
    text = " ".join(parts)

    found = resolve_due(text, on=on)

    if found is not None:
        assert found.said in text
        assert found.said.strip()
        assert fits(found.day, text, on=on)


@thorough
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """No text makes it raise."""
    resolve_due(text, on=WEDNESDAY)
