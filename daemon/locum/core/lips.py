"""What a mouth does while phones are spoken. It is told their timings; it hears nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import timedelta

from locum.core.speech import Mouth, MouthAt, Phone
from locum.core.visemes import VISEMES, visemes_of

_LONG = timedelta(milliseconds=140)
"""A sound that lasts longer is held, rather than passed through."""

_FULL = timedelta(milliseconds=110)
"""A vowel that is shorter doesn't get as far: unstressed ones hardly open the mouth."""

_LEAST_REACH = 0.5
_REST = "sil"
_CLOSING = timedelta(milliseconds=80)
"""How long the mouth takes to come to rest."""

_SEALED = frozenset({"PP", "FF"})
"""What is seen at once if it is missed: lips that meet, teeth on the lip. Never cut short."""


def mouths_of_phones(phones: Sequence[Phone]) -> tuple[MouthAt, ...]:
    """Answer keyframes, in order, for phones that follow each other."""
    found: list[MouthAt] = []
    for phone in phones:
        shapes = visemes_of(phone.symbol)
        share = (phone.end - phone.start) / len(shapes)
        for number, viseme in enumerate(shapes):
            for key in _keys(viseme, phone.start + number * share, share):
                if not found or key.at > found[-1].at:
                    found.append(key)
    return tuple(found)


def _keys(viseme: str, start: timedelta, length: timedelta) -> Iterator[MouthAt]:
    if length <= timedelta(0):
        return
    if viseme == _REST:
        yield MouthAt(start + min(_CLOSING, length / 2), VISEMES[_REST])
        if length > 2 * _CLOSING:
            # It stays shut until the next sound is near, rather than opening all the while.
            yield MouthAt(start + length - _CLOSING / 2, VISEMES[_REST])
        return
    if viseme in _SEALED:
        yield MouthAt(start + length * 0.2, VISEMES[viseme])
        yield MouthAt(start + length * 0.65, VISEMES[viseme])
        return
    mouth = _reached(VISEMES[viseme], length)
    if length > _LONG:
        yield MouthAt(start + length * 0.3, mouth)
        yield MouthAt(start + length * 0.7, mouth)
    else:
        yield MouthAt(start + length / 2, mouth)


def _reached(mouth: Mouth, length: timedelta) -> Mouth:
    reach = min(max(length / _FULL, _LEAST_REACH), 1.0)
    return Mouth(**{part.name: getattr(mouth, part.name) * reach for part in fields(mouth)})
