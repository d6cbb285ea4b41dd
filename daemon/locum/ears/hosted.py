"""What hosted recognisers have in common: their address and key, and what their errors mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from locum.core.secret import Secret
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health

RATE_HZ = 16_000
_TOLD = 300
_LONGEST_RETRY = timedelta(minutes=5)


@dataclass(frozen=True)
class Service:
    """A service: its root without a slash at the end, its key, and what is asked of it.

    `key` finds the key, and may raise HumanNeededError; None is none at all.
    """

    base_url: str
    model: str
    language: str = "en"
    key: Callable[[], Secret | None] = field(default=lambda: None, repr=False)


def refusal(host: str, status: int, told: str, *, retry_after: str = "") -> LocumError:
    """Answer what a refused request means; `told` is the answer's text, a stranger's."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in told).split())[:_TOLD]
    message = f"{host} doesn't listen ({status}: {plain or 'no reason given'})."
    if status in {401, 403}:
        return HumanNeededError(
            message, hint="Check hearing.api_key_file: the key isn't taken."
        )
    if status == 402:
        return HumanNeededError(message, hint="The account has no credit left: top it up.")
    if status == 429 or status >= 500:
        wait = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else 5
        seconds = min(timedelta(seconds=wait), _LONGEST_RETRY)
        return TransientError(message, retry_after=seconds)
    return PermanentError(
        f"{message} Check hearing.model, hearing.language and hearing.base_url."
    )


def finding(error: LocumError) -> Finding:
    """Answer what doctor says of a recogniser that can't be used."""
    step = error.hint if isinstance(error, HumanNeededError) else "See [hearing] in the config."
    return Finding("hearing", Health.BROKEN, str(error), step)
