"""Minutes and answers by a language model: windows of a meeting, read one by one, then merged.

Everything is bounded: the windows' number and size, the answers, and the time for all of it.
What was read before a failure that passes is kept, so that trying again reads only the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog

from locum.brains.model import prompts
from locum.brains.model.answers import Reading, SaidMerge, SaidMinutes, SaidReply
from locum.brains.model.merging import batches, entries_of, joined, merged
from locum.brains.model.settings import ModelSettings, Resolve, Segment
from locum.brains.model.windows import Window, cut, weight
from locum.core.minutes import Minutes, Occasion, hold_to_evidence
from locum.core.transcript import Transcript
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.keys import is_open_to_all
from locum.ports import Answer, Finding, Health, Passage

if TYPE_CHECKING:
    from locum.brains.model.clerk import Clerk, Spent

_log = structlog.get_logger(__name__)

MOST_WINDOWS = 150
_AT_ONCE = 4
_MOST_KEPT = 2 * MOST_WINDOWS
_MOST_PASSAGES = 200
_LONGEST_ANSWER = 4000
_CHECK_S = 15.0
SUBJECT = "brain"

_T = TypeVar("_T")


class ModelBrain:
    """A `Brain`. `segment` tells where topics begin, `resolve` which day was meant.

    Without `resolve`, a day counts as the model says it, if its words were said.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        segment: Segment | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._settings = settings
        self._segment = segment
        self._resolve = resolve
        self._kept: OrderedDict[bytes, SaidMinutes] = OrderedDict()

    @property
    def name(self) -> str:
        return self._settings.model

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        windows = await asyncio.to_thread(
            cut, transcript, self._settings.max_words, segment=self._segment
        )
        if not windows:
            return hold_to_evidence(Minutes(written_by=self.name), transcript)
        if len(windows) > MOST_WINDOWS:
            raise PermanentError(
                f"The meeting has {transcript.words:,} words, which the model {self.name} would "
                f"read in {len(windows)} requests; {MOST_WINDOWS} are the most. Raise "
                "brain.max_words in the config, as far as the model can read at once."
            )
        async with self._bounded("minutes") as (clerk, spent):
            minutes = await self._written(clerk, spent, windows, occasion)
        return await asyncio.to_thread(hold_to_evidence, minutes, transcript)

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        shown: list[Passage] = []
        room = self._settings.max_words
        for passage in passages[:_MOST_PASSAGES]:
            room -= weight(passage.text) + 8
            if room < 0 and shown:
                break
            shown.append(passage)
        if not shown or not question.strip():
            return None
        async with self._bounded("answer") as (clerk, spent):
            prompt = prompts.question_prompt(question, shown)
            said = await clerk.ask(SaidReply, prompts.LIBRARIAN, prompt, spent)
        known = {passage.id for passage in shown}
        cited = tuple(each for each in dict.fromkeys(said.cited) if each in known)
        text = (said.answer or "").strip()[:_LONGEST_ANSWER]
        return Answer(text, cited) if text and cited else None

    async def check(self) -> tuple[Finding, ...]:
        if find_spec("pydantic_ai") is None:
            told, step = _EXTRA_MISSING
            return (Finding(SUBJECT, Health.BROKEN, told, step),)
        try:
            clerk = await self._hired()
        except HumanNeededError as error:
            return (Finding(SUBJECT, Health.BROKEN, error.args[0], error.hint),)
        except LocumError as error:
            step = "Correct [brain] in the config."
            return (Finding(SUBJECT, Health.BROKEN, str(error), step),)
        try:
            with anyio.fail_after(_CHECK_S):
                found = await clerk.check(SUBJECT)
        except TimeoutError:
            told = f"{self._settings.place} doesn't answer within {_CHECK_S:g} s"
            found = Finding(SUBJECT, Health.BROKEN, told, "Check that the server runs.")
        finally:
            await clerk.aclose()
        return (found, *self._key_file_finding())

    def _key_file_finding(self) -> tuple[Finding, ...]:
        path = self._settings.key_file
        if not is_open_to_all(path):
            return ()
        told = f"{path} is open to every user of this machine"
        return (Finding(SUBJECT, Health.WARNING, told, f"chmod 600 {path}"),)

    async def aclose(self) -> None:
        self._kept.clear()

    # ── asking ───────────────────────────────────────────────────────────────────────────

    async def _hired(self) -> Clerk:
        if find_spec("pydantic_ai") is None:
            told, step = _EXTRA_MISSING
            raise HumanNeededError(f"[brain]: {told}.", hint=step)
        # A second or two of imports, and a list of certificates: not on the loop.
        return await asyncio.to_thread(_make_clerk, self._settings)

    @asynccontextmanager
    async def _bounded(self, what: str) -> AsyncIterator[tuple[Clerk, Spent]]:
        """Hire a clerk for one piece of work, and say in the log what it took."""
        clerk = await self._hired()
        from locum.brains.model.clerk import Spent

        spent = Spent()
        event = "question_answered" if what == "answer" else "minutes_written"
        timeout = self._settings.timeout.total_seconds()
        outcome = "failed"
        try:
            with anyio.fail_after(timeout):
                yield clerk, spent
            outcome = "done"
        except TimeoutError:
            raise TransientError(
                f"The model {self.name} at {self._settings.place} made no {what} within "
                f"{timeout:g} s."
            ) from None
        finally:
            with anyio.CancelScope(shield=True):
                await clerk.aclose()
            log = _log.info if outcome == "done" else _log.warning
            log(
                event if outcome == "done" else f"{what}_not_made",
                model=self.name,
                input_tokens=spent.input_tokens,
                output_tokens=spent.output_tokens,
                requests=spent.requests,
            )

    async def _written(
        self, clerk: Clerk, spent: Spent, windows: Sequence[Window], occasion: Occasion
    ) -> Minutes:
        reading = Reading(occasion, self._resolve)
        keys: list[bytes] = []

        async def read(number: int) -> tuple[Minutes, int]:
            window = windows[number]
            prompt = prompts.minutes_prompt(window, occasion, number + 1, len(windows))
            key = hashlib.sha256(prompt.encode()).digest()
            keys.append(key)
            said = self._kept.get(key)
            if said is None:
                said = await clerk.ask(SaidMinutes, prompts.CLERK, prompt, spent)
                self._keep(key, said)
            transcript = window.transcript
            made = await asyncio.to_thread(reading.minutes, said, transcript, by=self.name)
            return made, transcript.words

        try:
            parts = await _each(len(windows), read)
            minutes = joined(parts)
            if len(windows) > 1:
                minutes = await self._merged(clerk, spent, minutes)
        except TransientError:
            raise  # It will be tried again: what was read stays.
        except LocumError:
            self._forget(keys)
            raise
        self._forget(keys)
        return minutes

    async def _merged(self, clerk: Clerk, spent: Spent, minutes: Minutes) -> Minutes:
        """Let the model say how the parts come together."""
        minutes, count = await self._merge_round(clerk, spent, minutes)
        while count > 1:
            # Too much for one request left a tldr for each: these are merged again, alone.
            alone = Minutes(written_by=minutes.written_by, tldr=minutes.tldr)
            shorter, count = await self._merge_round(clerk, spent, alone)
            dropped = minutes.dropped + shorter.dropped
            is_shorter = len(shorter.tldr) < len(minutes.tldr)
            minutes = replace(minutes, tldr=shorter.tldr, dropped=dropped)
            if not is_shorter:
                break
        return minutes

    async def _merge_round(
        self, clerk: Clerk, spent: Spent, minutes: Minutes
    ) -> tuple[Minutes, int]:
        """Merge what fits into a request each; answers how many it took."""
        entries = entries_of(minutes)
        parted = batches(entries, self._settings.max_words)

        async def ask(number: int) -> SaidMerge:
            prompt = prompts.merge_prompt([entry.shown for entry in parted[number]])
            return await clerk.ask(SaidMerge, prompts.EDITOR, prompt, spent)

        return merged(minutes, entries, await _each(len(parted), ask)), len(parted)

    def _keep(self, key: bytes, said: SaidMinutes) -> None:
        self._kept[key] = said
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def _forget(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self._kept.pop(key, None)


_EXTRA_MISSING = (
    "a language model needs what isn't installed",
    "Install the extra: pip install 'locum[brain]'. Or take [brain] out of the config.",
)


def _make_clerk(settings: ModelSettings) -> Clerk:
    from locum.brains.model.clerk import Clerk

    return Clerk(settings)


async def _each(count: int, job: Callable[[int], Awaitable[_T]]) -> list[_T]:
    """Do a job for each number, a few at a time; answers what they answer, in their order.

    After a failure that passes, what has begun is finished (it is paid for), and no more begun.
    """
    done: dict[int, _T] = {}
    failures: list[LocumError] = []
    waiting = iter(range(count))

    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            for number in waiting:
                if failures:
                    return
                try:
                    done[number] = await job(number)
                except LocumError as error:
                    failures.append(error)
                    if not isinstance(error, TransientError):
                        tasks.cancel_scope.cancel()

        for _ in range(min(_AT_ONCE, count)):
            tasks.start_soon(work)
    if failures:
        # One that doesn't pass counts more than those that do.
        raise next((e for e in failures if not isinstance(e, TransientError)), failures[0])
    return [done[number] for number in range(count)]
