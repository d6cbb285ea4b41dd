"""Out by the page's own button, until the page says so: a matter of seconds, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from locum.engines.chromium.looks import Look, Where
from locum.engines.chromium.meetpage import MeetPage, NoLookError
from locum.engines.chromium.texts import Control
from locum.engines.chromium.verdicts import EndedError

_LONGEST_S = 8.0
_EVERY_S = 0.2
_AGAIN_S = 2.0


async def leave_room(page: MeetPage, read_chat: Callable[[Look], None]) -> bool:
    """Press the button that leaves, and see the call or lobby gone; False if that isn't seen.

    `read_chat` sees the last look at the room.
    """
    loop = asyncio.get_running_loop()
    began, pressed_at = loop.time(), -_AGAIN_S
    was_in = False
    while loop.time() - began < _LONGEST_S:
        try:
            look = await page.look()
        except NoLookError:
            await asyncio.sleep(_EVERY_S)
            continue
        except EndedError:
            return False
        if look.where is Where.IN_CALL and not was_in:
            read_chat(look)
        was_in = was_in or look.where is Where.IN_CALL
        button = look.find(Control.LEAVE)
        if button is None:
            return look.where is not Where.LOBBY
        if loop.time() - pressed_at >= _AGAIN_S:
            pressed_at = loop.time()
            await page.press(button)
        await asyncio.sleep(_EVERY_S)
    return False
