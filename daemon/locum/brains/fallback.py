"""Two brains as one: where the first fails for good, or too late, the second writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from locum.core.minutes import Minutes, Occasion
from locum.core.transcript import Transcript
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Answer, Brain, Clock, Finding, Passage

_log = structlog.get_logger(__name__)

_LONGEST_REASON = 300


class FallbackBrain:
    """A `Brain` that asks `first` up to `tries` times within `within`, then `second`.

    The times are the clock's. What `second` writes says why it isn't the first's.
    """

    def __init__(
        self,
        first: Brain,
        second: Brain,
        *,
        clock: Clock,
        tries: int = 3,
        within: timedelta = timedelta(minutes=30),
    ) -> None:
        self._first = first
        self._second = second
        self._clock = clock
        self._tries = tries
        self._within = within

    @property
    def name(self) -> str:
        return self._first.name

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        try:
            return await self._patiently(transcript, occasion)
        except (TransientError, PermanentError, HumanNeededError) as error:
            reason = _in_short(error)
            _log.warning(
                "brain_replaced", model=self._first.name, by=self._second.name, problem=reason
            )
        minutes = await self._second.write_minutes(transcript, occasion)
        remark = f"Written without the model {self._first.name}: {reason}"
        return replace(minutes, remark=" ".join(filter(None, (remark, minutes.remark))))

    async def _patiently(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        until = self._clock.now() + self._within
        for _ in range(self._tries - 1):
            try:
                return await self._first.write_minutes(transcript, occasion)
            except TransientError as error:
                if self._clock.now() + error.retry_after > until:
                    raise
                _log.info(
                    "brain_retried",
                    model=self._first.name,
                    retry_s=error.retry_after.total_seconds(),
                    problem=_in_short(error),
                )
                await self._clock.sleep(error.retry_after)
        return await self._first.write_minutes(transcript, occasion)

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Ask the first once: somebody is waiting."""
        try:
            return await self._first.answer(question, passages)
        except (TransientError, PermanentError, HumanNeededError) as error:
            _log.warning(
                "brain_replaced",
                model=self._first.name,
                by=self._second.name,
                problem=_in_short(error),
            )
        return await self._second.answer(question, passages)

    async def check(self) -> tuple[Finding, ...]:
        return (*await self._first.check(), *await self._second.check())

    async def aclose(self) -> None:
        try:
            await self._first.aclose()
        finally:
            await self._second.aclose()


def _in_short(error: LocumError) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
