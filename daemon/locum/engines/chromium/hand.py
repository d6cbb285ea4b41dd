"""The hand, ours and others': raised by the page's button, and seen to be up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from locum.engines.chromium.looks import Look, Where
from locum.engines.chromium.meetpage import MeetPage, NoLookError
from locum.engines.chromium.texts import HAND_RAISED, Control, folded
from locum.engines.chromium.verdicts import EndedError
from locum.errors import PermanentError, TransientError

_LONGEST_S = 8.0
_EVERY_S = 0.2
_AGAIN_S = 2.0
_NO_BUTTON_S = 3.0


async def raise_hand(page: MeetPage, *, up: bool) -> None:
    """Raise our hand, or take it down, and see by its button that it is so. Idempotent.

    Raises:
        TransientError: It isn't seen; call again.
        PermanentError: This room has no hands.
    """
    loop = asyncio.get_running_loop()
    began, pressed_at = loop.time(), -_AGAIN_S
    while loop.time() - began < _LONGEST_S:
        look = await _look(page)
        if look is not None and look.where is Where.IN_CALL:
            if look.find(_done(up=up)) is not None:
                return
            button = look.find(_done(up=not up))
            if button is None and loop.time() - began > _NO_BUTTON_S:
                raise PermanentError("This room has no hand for us to raise.")
            if button is not None and loop.time() - pressed_at >= _AGAIN_S:
                pressed_at = loop.time()
                await page.press(button)
        await asyncio.sleep(_EVERY_S)
    raise TransientError("The hand isn't seen to be up." if up else "The hand is still up.")


def _done(*, up: bool) -> Control:
    """Answer the button that is there once the hand is up, or down."""
    return Control.HAND_DOWN if up else Control.HAND_UP


async def _look(page: MeetPage) -> Look | None:
    try:
        return await page.look()
    except NoLookError:
        return None
    except EndedError as error:
        raise TransientError(f"The hand can't be reached: {error}.") from error


def raised_by(announced: Iterable[str], people: Iterable[str]) -> frozenset[str]:
    """Answer whose hands the page announces, "" for somebody who isn't among `people`."""
    known = tuple(people)
    found: set[str] = set()
    for text in map(folded, announced):
        named = [name for name in known for said in _SAID if f"{folded(name)} {said}" in text]
        found.update(named or ([""] if any(said in text for said in _SAID) else []))
    return frozenset(found)


_SAID = tuple(folded(each) for each in HAND_RAISED)
