"""Whether somebody in the room wants the stand-in gone, and for what that holds.

"Opt out", said or written by anybody, makes it leave at once and stay away from the whole
series. So it has to be heard as what it is: a wish of its own, with the few words that people
put around it. A sentence that only mentions opting out ("customers can opt out of the
newsletter") is the meeting's business.
"""

from __future__ import annotations

import re
import unicodedata

from locum.core.model import OccurrenceKey, SeriesKey

_INSTANCE = re.compile(r"/\d{8}T\d{6}Z\Z")
_SPLIT = re.compile(r"_R\d{8}(?:T\d{6})?Z?(?=@|\Z)")
"""What Google puts into an iCalUID where "this and following events" were changed."""

_LONGEST_WISH = 200
"""Characters; a wish to opt out is short, and what is heard can be of any length."""

_WISH = re.compile(r"\bopt(?:ing)?[ ]?out\b")
# Said by whoever wants out; then to the stand-in, by whatever name; then of what it does.
_AROUND = frozenset(
    [
        "i",
        "we",
        "id",
        "wed",
        "im",
        "ill",
        "well",
        "would",
        "like",
        "want",
        "wish",
        "need",
        "to",
        "must",
        "choose",
        "hereby",
        "can",
        "may",
        "could",
        "let",
        "me",
        "us",
        "am",
        "are",
        "be",
        "now",
        "here",
        "please",
        "pls",
        "kindly",
        "thanks",
        "thank",
        "you",
        "and",
        "ok",
        "okay",
        "hi",
        "hey",
        "hello",
        "sorry",
        "yes",
        "just",
        "really",
        "also",
        "all",
        "everyone",
        "everybody",
        "the",
        "a",
        "an",
        "this",
        "for",
        "of",
        "from",
        "bot",
        "robot",
        "ai",
        "assistant",
        "agent",
        "avatar",
        "stand",
        "in",
        "standin",
        "notetaker",
        "note",
        "taker",
        "recorder",
        "meeting",
        "call",
        "recording",
        "transcription",
        "transcript",
        "transcribing",
        "notes",
        "taking",
        "listening",
    ]
)


def series_of(occurrence: OccurrenceKey) -> SeriesKey:
    """Answer the series that an occurrence belongs to: for a single event, itself.

    A series that was split ("this and following events") counts as one.
    """
    return SeriesKey(_SPLIT.sub("", _INSTANCE.sub("", occurrence)))


def wants_out(text: str, *, names: str = "") -> bool:
    """Whether `text`, said or written in the room, is somebody's wish to opt out.

    `names` are what the stand-in and its owner are called, as on the tile.
    """
    if len(text) > _LONGEST_WISH:
        return False
    said = _plain(text)
    rest = _WISH.sub(" ", said)
    if rest == said:
        return False
    return set(rest.split()) <= _AROUND | set(_plain(names).split())


def _plain(text: str) -> str:
    """Answer the words alone: lower case, no apostrophes, no punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # What is invisible or decorates must not hide a wish.
    seen = "".join(each for each in folded if unicodedata.category(each) not in {"Cf", "Mn"})
    words = re.sub(r"['’`](?:s\b)?", "", seen)
    return " ".join(re.sub(r"[\W_]+", " ", words).split())
