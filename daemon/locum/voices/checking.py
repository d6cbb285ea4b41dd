"""Whether a voice could speak: it says one word, to nobody."""

from __future__ import annotations

from datetime import timedelta

from locum.errors import HumanNeededError, LocumError
from locum.ports import Finding, Health, Voice

SUBJECT = "voice"


async def try_out(voice: Voice, *, otherwise: str) -> tuple[Finding, ...]:
    """Let it say "hello"; `otherwise` is the next step where the error doesn't bring one.

    Raises nothing.
    """
    lasting = timedelta(0)
    try:
        async for piece in voice.speak("hello"):
            lasting += piece.sound.duration
    except HumanNeededError as error:
        return (Finding(SUBJECT, Health.BROKEN, str(error.args[0]), error.hint),)
    except LocumError as error:
        told = str(error).removesuffix(otherwise).rstrip()
        return (Finding(SUBJECT, Health.BROKEN, told, otherwise),)
    if not lasting:
        return (Finding(SUBJECT, Health.BROKEN, f"{voice.name} says nothing", otherwise),)
    return (Finding(SUBJECT, Health.OK, voice.name),)
