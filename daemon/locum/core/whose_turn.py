"""Given what was said and how things stand: is it ours to answer, and why?"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from locum.core.addressing import Meant, Reading
from locum.core.talk import Attention, Cue


class Unsure(enum.Enum):
    """What else one can do about what was said than answer it."""

    CONSIDER = "consider"  #: Let a model say whether it is for us.
    NOD = "nod"


@dataclass(frozen=True)
class Standing:
    """How we stand to somebody who spoke, at the end of what they said."""

    attention: Attention
    alone: bool = False  #: Nobody else is there whom they could mean.
    silenced: bool = False  #: We were asked to be silent.
    talking_with_us: bool = False  #: We spoke to them a moment ago.
    near_our_words: bool = False  #: We spoke a moment ago, to whomever.
    we_asked: bool = False  #: Our last words were a question.
    held: bool = False  #: We were asked to wait.
    cut_us_off: bool = False  #: We were speaking when they spoke up.
    begun: Cue | None = None  #: They were saying something to us, and went on.
    in_circles: bool = False  #: They are a stand-in too, and nobody else has said anything.


_FEWEST_WORDS = 6
"""A remark that isn't a question is worth asking a model about from this length on."""


def cue_for(reading: Reading, standing: Standing) -> Cue | Unsure | None:
    """Answer why it is our turn now; what to do instead; or nothing."""
    if reading.asks_what_we_are:
        return Cue.ASKED_WHAT_WE_ARE
    listens = standing.attention is Attention.LISTEN
    if listens or standing.in_circles or reading.meant is Meant.OTHERS:
        return None
    if reading.meant is Meant.US:
        return Unsure.NOD if reading.thanks else Cue.NAMED
    return None if standing.silenced else _unnamed(reading, standing)


def is_expected(reading: Reading, standing: Standing) -> bool:
    """Whether somebody whom we are to answer waits for that, and doesn't just tell something."""
    asks = reading.requests or reading.asks_what_we_are
    called = reading.meant in {Meant.US, Meant.PERHAPS}
    return asks or called or standing.we_asked or standing.cut_us_off


def _unnamed(reading: Reading, standing: Standing) -> Cue | Unsure | None:
    with_us = standing.alone or standing.talking_with_us
    if reading.thanks:
        return Unsure.NOD if with_us else None
    if reading.backchannel:
        return Cue.FOLLOW_UP if with_us and standing.we_asked else None
    if standing.held and not (reading.says_you or reading.comes_back):
        return None
    return _to_us(reading, standing) or _worth_asking(reading, standing)


def _to_us(reading: Reading, standing: Standing) -> Cue | None:
    if standing.begun is not None:
        return standing.begun
    if standing.alone:
        return Cue.ALONE
    asked = standing.cut_us_off and (reading.question or reading.says_you)
    to_us = standing.talking_with_us and not _tells_everybody(reading, standing)
    if (to_us or asked) and not _turned_away(reading):
        return Cue.FOLLOW_UP
    return None


def _tells_everybody(reading: Reading, standing: Standing) -> bool:
    """Whether somebody who talked with us only states something: it may be for all of them."""
    asks = reading.question or reading.says_you or reading.wants
    expected = standing.we_asked or standing.cut_us_off
    return not (asks or expected) and reading.length >= _FEWEST_WORDS


def _turned_away(reading: Reading) -> bool:
    """Whether somebody who talked with us now talks to others."""
    if reading.leaves_us or reading.asks_everybody or reading.meant is Meant.PERHAPS:
        return True
    about_us = reading.meant is Meant.NOT_US
    return about_us and not (reading.of_owner and (reading.question or reading.says_you))


def _worth_asking(reading: Reading, standing: Standing) -> Cue | Unsure | None:
    about_us = reading.meant is Meant.NOT_US
    if (
        reading.meant is Meant.PERHAPS
        or (about_us and reading.of_owner and reading.question)
        or (standing.near_our_words and reading.question and reading.says_you)
        or (standing.talking_with_us and not about_us and not _turned_away(reading))
    ):
        return Unsure.CONSIDER
    if standing.attention is not Attention.ACTIVE or about_us:
        return None
    if reading.asks_everybody:
        return Cue.OFFER
    return Unsure.CONSIDER if reading.question or reading.length >= _FEWEST_WORDS else None
