"""Into the chat: typed where the page has its field, whatever that is, and seen to appear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from locum.engines.chromium.chat import shows
from locum.engines.chromium.looks import Look, Where
from locum.engines.chromium.meetpage import MeetPage, NoLookError
from locum.engines.chromium.texts import Control
from locum.engines.chromium.verdicts import EndedError
from locum.errors import PermanentError, TransientError

_LONGEST = 480
"""Characters of one message; Meet takes 500."""
_EVERY_S = 0.2
_OPENS_S = 8.0
_NO_FIELD_S = 4.0
_APPEARS_S = 8.0


async def write(page: MeetPage, text: str, read_chat: Callable[[Look], None]) -> None:
    """Write a text, in several messages where it is long, and see each in the chat.

    What stands there already isn't written again, so it may be called again after a failure.

    Raises:
        TransientError: It isn't seen there; call again.
        PermanentError: This room has no chat for us.
    """
    try:
        for part in parts(text):
            look = await _opened(page, read_chat)
            if not shows(look.messages or (), part):
                await _send(page, look, part, read_chat)
    except EndedError as error:
        raise TransientError(f"The chat can't be reached: {error}.") from error


def parts(text: str) -> Iterator[str]:
    """Cut a text into messages, between words; line breaks would send it half-way."""
    part = ""
    for word in text.split():
        for piece in (word[n : n + _LONGEST] for n in range(0, len(word), _LONGEST)):
            if part and len(part) + 1 + len(piece) > _LONGEST:
                yield part
                part = ""
            part = f"{part} {piece}".strip()
    if part:
        yield part


async def _opened(page: MeetPage, read_chat: Callable[[Look], None]) -> Look:
    """Open the chat's panel; answers a look that has its field."""
    loop = asyncio.get_running_loop()
    began, pressed_at, open_since = loop.time(), -_OPENS_S, None
    while loop.time() - began < _OPENS_S:
        look = await _look(page)
        if look is None or look.where is not Where.IN_CALL:
            await asyncio.sleep(_EVERY_S)
            continue
        field = look.find(Control.COMPOSER)
        if field is not None and field.enabled:
            read_chat(look)
            return look
        if look.messages is None and loop.time() - pressed_at > 2.0:
            button = look.find(Control.CHAT)
            pressed_at = loop.time()
            if button is not None:
                await page.press(button)
        if look.messages is not None or field is not None:
            open_since = open_since or loop.time()
            if loop.time() - open_since > _NO_FIELD_S:
                raise PermanentError("This room's chat takes no messages from us.")
        await asyncio.sleep(_EVERY_S)
    raise TransientError("The chat doesn't open.")


async def _send(
    page: MeetPage, look: Look, text: str, read_chat: Callable[[Look], None]
) -> None:
    field = look.find(Control.COMPOSER)
    if field is None or not await page.fill(field, text):
        raise TransientError("The chat's field takes no text.")
    loop = asyncio.get_running_loop()
    began, pressed = loop.time(), False
    while loop.time() - began < _APPEARS_S:
        seen = await _look(page)
        if seen is not None:
            read_chat(seen)
            if shows(seen.messages or (), text):
                return
            button = seen.find(Control.SEND)
            if not pressed and button is not None and button.enabled:
                pressed = await page.press(button)
            elif not pressed and loop.time() - began > 1.0:
                pressed = await page.enter()
        await asyncio.sleep(_EVERY_S)
    raise TransientError("The message isn't seen in the chat.")


async def _look(page: MeetPage) -> Look | None:
    try:
        return await page.look()
    except NoLookError:
        return None
