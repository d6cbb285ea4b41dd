"""One transcript out of several: nothing lost, nothing twice, in order, whatever the sources."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.merging import merged
from locum.core.model import Person
from locum.core.transcript import Source, Transcript, Utterance
from tests.unit.builders import TEN
from tests.unit.drawn import thorough

DANA, JONAS = "Dana Reyes", "Jonas Lind"
EARS, CAPTIONS, ENGINE = Source.EARS, Source.CAPTIONS, Source.ENGINE
MEET, CHAT = Source.MEET_TRANSCRIPT, Source.CHAT


def said(
    text: str,
    at: float | None = None,
    speaker: str = DANA,
    source: Source = EARS,
    lasts: float | None = None,
) -> Utterance:
    """Answer an utterance so many seconds after ten."""
    start = None if at is None else TEN + timedelta(seconds=at)
    until = None if start is None or lasts is None else start + timedelta(seconds=lasts)
    return Utterance("", speaker, text, start, until, source)


def texts(transcript: Transcript) -> list[str]:
    return [each.text for each in transcript.utterances]


# ── two sources ──────────────────────────────────────────────────────────────────────────

LONG = "We show the harbours the new dashboard on Thursday morning."


def test_a_repeat_is_the_trusted_sources() -> None:
    """What both heard stands once, in the trusted one's words, however misheard by the other."""
    misheard = "We show the harbors a new dashboard on thursday morning"
    found = merged([said(misheard, 1, source=MEET), said(LONG, 0)])
    assert [(each.text, each.source) for each in found.utterances] == [(LONG, EARS)]


def test_what_only_one_has_stays() -> None:
    """Each source's own utterances stand in the order of time, named by their order."""
    ours = [said("First things first, good morning.", 0), said("I disagree with it.", 40)]
    found = merged([*ours, said("The budget was approved yesterday.", 20, JONAS, MEET)])
    assert [each.id for each in found.utterances] == ["u1", "u2", "u3"]
    assert texts(found)[1] == "The budget was approved yesterday."


def test_cut_up_otherwise() -> None:
    """Three captions and one long entry are one and the same speech."""
    parts = ["We show the harbours", "the new dashboard", "on Thursday morning."]
    captions = [said(text, 2 * n, source=CAPTIONS) for n, text in enumerate(parts)]
    assert texts(merged([*captions, said(LONG, 0, source=MEET)])) == parts
    whole = said(LONG, 0, source=CAPTIONS)
    cut = [replace(each, source=MEET) for each in captions]
    assert texts(merged([*cut, whole])) == [LONG]


@pytest.mark.parametrize(
    ("entry", "rest"),
    [
        (
            f"{LONG} And Whitby comes after the spring tide.",
            "And Whitby comes after the spring",
        ),
        (f"Before you ask me again: {LONG}", "Before you ask me again:"),
    ],
)
def test_what_a_longer_one_has_more(entry: str, rest: str) -> None:
    """The part that only the less trusted one heard stands by itself, word for word."""
    found = merged([said(LONG, 5), said(entry, 4, source=MEET)])
    assert len(found.utterances) == 2
    [extra] = [each for each in found.utterances if each.source is MEET]
    assert extra.text.startswith(rest)
    assert extra.text in entry


def test_the_same_short_word_by_two_people() -> None:
    """A "Yes." by two people is two answers; by one and the same, it is one."""
    ears = [said("Yes.", 10, DANA)]
    assert len(merged([*ears, said("Yes.", 11, JONAS, MEET)]).utterances) == 2
    assert len(merged([*ears, said("Yes", 11, "Dana R.", MEET)]).utterances) == 1


def test_said_twice_stays_twice() -> None:
    """One source's repetition isn't taken for another's echo."""
    twice = [said(LONG, 0, source=MEET), said(LONG, 60, source=MEET)]
    assert len(merged([said(LONG, 0), *twice]).utterances) == 2
    quick = [said("No.", 0, source=MEET), said("No.", 4, source=MEET)]
    assert len(merged([said("No.", 0), *quick]).utterances) == 2


def test_the_chat_is_nobodys_repeat() -> None:
    """What was written too was said all the same, and the other way round."""
    found = merged([said(LONG, 0), said(LONG, 5, source=CHAT), said(LONG, 1, source=MEET)])
    assert [each.source for each in found.utterances] == [EARS, CHAT]


def test_a_source_that_is_told_twice() -> None:
    """A source that was fetched twice counts once."""
    entries = [said(LONG, 0, source=MEET), said("Agreed then.", 9, JONAS, MEET)]
    assert merged([*entries, *entries]) == merged(entries)


def test_a_caption_that_is_revised() -> None:
    """A line that grows in place is one line; two lines that begin alike are two."""
    growing = [
        said("We show", 0, source=CAPTIONS, lasts=1),
        said("We shore the harbor", 0, source=CAPTIONS, lasts=2),
        said("We show the harbours the dashboard.", 0.4, source=CAPTIONS, lasts=3),
        said("We show", 30, source=CAPTIONS),
    ]
    found = merged(growing)
    assert texts(found) == ["We show the harbours the dashboard.", "We show"]
    assert found.utterances[0].until == TEN + timedelta(seconds=3.4)


def test_what_the_trusted_one_leaves_open() -> None:
    """A speaker, a person and an instant are taken over from who knows them."""
    person = Person("dana@example.com", DANA)
    entry = replace(said(LONG, 7, source=MEET), person=person)
    found = merged([said(LONG, None, "", ENGINE), entry])
    [one] = found.utterances
    assert (one.source, one.speaker, one.person, one.at) == (ENGINE, DANA, person, entry.at)


# ── clocks, and none ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("minutes", [-60, -3, 2, 59])
def test_a_clock_that_differs(minutes: float) -> None:
    """By what both heard a clock is put right, and what only it has stands where it belongs."""
    spoken = [f"The gauge number {n} at pier{n} was {n} off on day{n}." for n in range(8)]
    ours = [said(text, 20 * n) for n, text in enumerate(spoken)]
    theirs = [said(text, 20 * n + 60 * minutes, source=MEET) for n, text in enumerate(spoken)]
    extra = said("Nobody but me has heard this sentence.", 70 + 60 * minutes, JONAS, MEET)
    found = merged([*ours, *theirs, extra])
    assert texts(found) == [*spoken[:4], extra.text, *spoken[4:]]
    assert found.utterances[4].at == TEN + timedelta(seconds=70)


def test_without_any_instants() -> None:
    """What no time tells stands between what it was said between."""
    lines = [f"Sentence{n} about topic{n} and thing{n}" for n in range(5)]
    ours = [said(text, 10 * n) for n, text in enumerate(lines) if n != 2]
    theirs = [said(text, None, source=ENGINE) for text in lines]
    assert texts(merged([*ours, *theirs])) == lines
    beginning = [said("Before all that was written", None, source=ENGINE), *theirs]
    assert texts(merged([*ours, *beginning])) == ["Before all that was written", *lines]
    assert texts(merged([*theirs, said("Also this.", None, source=MEET)])) == [
        *lines,
        "Also this.",
    ]


def test_nothing() -> None:
    """Nothing comes of nothing, and blank lines are nothing."""
    assert merged([]) == Transcript()
    assert merged([said("  ", 0), said("\n", None)]) == Transcript()


def test_writing_without_spaces() -> None:
    """Characters are compared where words aren't parted."""
    ours = said("明日の会議で新しいダッシュボードを見せます。", 0)
    theirs = said("明日の会議で新しいダッシュボードを見せます", 1, source=MEET)
    assert texts(merged([ours, theirs])) == [ours.text]


# ── whatever is drawn ────────────────────────────────────────────────────────────────────

_COMMON = ["the", "and", "we", "to", "of", "is", "a", "that"]
_SOURCES = (EARS, CAPTIONS, ENGINE, MEET)


@dataclass(frozen=True)
class Sentence:
    """What was really said. Its first word is in no other, and never misheard."""

    key: str
    words: tuple[str, ...]
    at: float
    speaker: str
    follows: bool  #: Upon the one before, so closely that some sources make one of both.


def drawn_meeting(rng: random.Random) -> list[Sentence]:
    meeting: list[Sentence] = []
    at = 0.0
    for number in range(rng.randint(1, 25)):
        size = rng.choice([1, 2, 3, 5, 8, 12, 40])
        key = f"key{number}x"
        rest = (
            rng.choice([rng.choice(_COMMON), f"w{number}n{each}"]) for each in range(1, size)
        )
        pause = rng.choice([rng.uniform(0.5, 3), rng.uniform(3, 30)])
        # A few words that one source tells together with others' prove nothing: see `merged`.
        both_long = size >= 8 and bool(meeting) and len(meeting[-1].words) >= 8
        follows = both_long and rng.random() < 0.5 and pause < 3
        at += pause
        meeting.append(Sentence(key, (key, *rest), at, rng.choice([DANA, JONAS]), follows))
        at += size * 0.4
    return meeting


def heard_by(
    source: Source, meeting: Sequence[Sentence], rng: random.Random
) -> list[Utterance]:
    """Answer what a source made of it: with gaps, misheard words, and its own way to cut up."""
    heard: list[Utterance] = []
    timed = source is not ENGINE or rng.random() < 0.5
    shows = {DANA: rng.choice([DANA, "Dana R.", ""]), JONAS: JONAS}
    heard_before = False
    for sentence in meeting:
        may_join, heard_before = heard_before and sentence.follows, rng.random() > 0.3
        if not heard_before:
            continue
        words = list(sentence.words)
        if len(words) >= 8 and rng.random() < 0.5:
            words[rng.randrange(1, len(words))] = f"misheard{rng.randrange(10**6)}"
        at = sentence.at + rng.uniform(-0.8, 0.8) if timed else None
        one = said(" ".join(words), at, shows[sentence.speaker], source, len(words) * 0.4)
        if may_join and heard[-1].speaker == one.speaker:
            text = f"{heard[-1].text} {one.text}"
            heard[-1] = replace(heard[-1], text=text, until=one.until)
        else:
            heard.append(one)
    return heard


@thorough
@given(st.integers(0, 2**60))
def test_nothing_lost_nothing_twice_in_order(seed: int) -> None:
    """All that any source heard stands once, ordered by time, and merging again changes nothing."""
    rng = random.Random(seed)
    meeting = drawn_meeting(rng)
    sources = rng.sample(_SOURCES, rng.randint(1, 4))
    told = [each for source in sources for each in heard_by(source, meeting, rng)]
    heard = [replace(each, id=f"given{number}") for number, each in enumerate(told)]
    found = merged(heard)

    words = Counter(word for text in texts(found) for word in text.split())
    keys = {word for each in heard for word in each.text.split() if word.startswith("key")}
    assert {key: words[key] for key in keys} == dict.fromkeys(keys, 1)
    instants = [each.at for each in found.utterances if each.at is not None]
    assert instants == sorted(instants)
    assert all(any(each.text in one.text for one in heard) for each in found.utterances)
    assert merged(found.utterances) == found
    assert merged([*heard, *heard]) == found


def test_an_hour_and_a_half() -> None:
    """What is long takes time by its length: 25,000 words from each of two sources."""
    rng = random.Random(5)
    lexicon = [f"w{n}" for n in range(8000)] + _COMMON * 400
    ours, theirs = [], []
    for number in range(1250):
        words = rng.choices(lexicon, k=20)
        ours.append(said(" ".join(words), 4.3 * number))
        words[rng.randrange(20)] = "misheard"
        theirs.append(said(" ".join(words), 4.3 * number + 1, source=MEET))
    begun = time.process_time()
    found = merged([*ours, *theirs])
    assert len(found.utterances) == len(ours)
    assert time.process_time() - begun < 30
