"""A mind that is a language model: it answers as it thinks, held to its mandate word by word.

Everything is bounded: an answer's time and length, answers a minute, tokens a meeting, tools an
answer. Where the model fails, what was prepared is told without it, and that is said.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio
import structlog

from locum.core.mandate import answer_by_code
from locum.core.talk import Line
from locum.core.tongues import GERMAN, tongue_of
from locum.errors import HumanNeededError, LocumError, TransientError
from locum.minds import prompts
from locum.minds.answering import TO_US, Answering
from locum.minds.bounds import Bounds
from locum.minds.brief import Brief, day_of
from locum.minds.plain import PlainMind
from locum.ports import Aloud, Prompted, Thought, Tool, Toolbox
from locum.providers import ModelAddress

if TYPE_CHECKING:
    from locum.minds.talker import Dialogue, Talker

_log = structlog.get_logger(__name__)

_WARM_S = 8.0
_REST = timedelta(seconds=20)
_LONGEST_REST = timedelta(minutes=2)
_TOKENS_FOR_YES = 5

_WITHOUT = {
    "en": "My language model doesn't answer just now, so I only have what I was given. ",
    "de": "Mein Sprachmodell antwortet gerade nicht, ich habe also nur, was mir mitgegeben wurde. ",
}


@dataclass
class _Spent:
    tokens: int = 0
    recent: deque[float] = field(default_factory=deque)


class ModelMind:
    """A `Mind` for one meeting.

    `toolbox` is what it may look up and do; it isn't closed here.
    """

    def __init__(
        self,
        brief: Brief,
        address: ModelAddress,
        *,
        toolbox: Toolbox | None = None,
        bounds: Bounds | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._brief = brief
        self._address = address
        self._toolbox = toolbox
        self._bounds = bounds or Bounds()
        self._now = now
        self._plain = PlainMind(brief)
        self._beforehand = prompts.beforehand(brief)
        self._hired: asyncio.Task[Talker] | None = None
        self._spent = _Spent()
        self._rests_until = 0.0
        self._broken = ""
        self._told_so = False

    @property
    def name(self) -> str:
        return self._address.model

    async def warm(self) -> None:
        try:
            with anyio.move_on_after(_WARM_S):
                talker = await self._talker()
                await talker.warm()
        except LocumError as error:
            self._note(error)

    async def aclose(self) -> None:
        hired, self._hired = self._hired, None
        if hired is None:
            return
        hired.cancel()
        outcome = (await asyncio.gather(hired, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            await outcome.aclose()

    # ── is it for us? ────────────────────────────────────────────────────────────────────

    async def is_for_us(self, lines: Sequence[Line]) -> bool:
        if not lines or self._why_not() or not self._may_ask():
            return False
        heard: list[str] = []
        try:
            with anyio.fail_after(self._bounds.for_us.total_seconds()):
                talker = await self._talker()
                prompt = prompts.for_us_prompt(lines, self._brief.mandate)
                dialogue = talker.begin(self._beforehand, prompt, most_tokens=_TOKENS_FOR_YES)
                try:
                    await dialogue.go_on(heard.append, self._bounds.patience)
                finally:
                    self._spent.tokens += dialogue.used.tokens
        except TimeoutError:
            return False
        except LocumError as error:
            self._note(error)
            return False
        return "".join(heard).strip().casefold().startswith(("yes", "ja"))

    # ── answering ────────────────────────────────────────────────────────────────────────

    async def answer(self, prompted: Prompted) -> AsyncIterator[Thought]:
        asked = prompted.lines[-1]
        by_code = answer_by_code(self._brief.mandate, asked, prompted.cue, on=day_of(asked.at))
        if by_code is not None:
            for thought in by_code:
                yield thought
            return
        why = self._why_not() or ("" if self._may_ask() else "too many answers a minute")
        if why:
            for thought in self._without(prompted, why):
                yield thought
            return
        answering = Answering(self._brief, self._toolbox, self._bounds, prompted)
        thinking = asyncio.ensure_future(answering.think(self._begun))
        try:
            async for thought in answering.thoughts():
                yield thought
        finally:
            thinking.cancel()
            await asyncio.gather(thinking, return_exceptions=True)
            self._spent.tokens += answering.tokens
        if answering.failure is not None:
            self._note(answering.failure)
            if not answering.has_said:
                for thought in self._without(prompted, str(answering.failure)):
                    yield thought

    async def _begun(self, prompted: Prompted, tools: Sequence[Tool]) -> Dialogue:
        """Begin to ask the model for an answer."""
        talker = await self._talker()
        bounds = self._bounds
        prompt = prompts.turn_prompt(prompted.lines, prompted.cue, tokens=bounds.line_tokens)
        return talker.begin(
            self._beforehand, prompt, most_tokens=bounds.answer_tokens, tools=tools
        )

    def _without(self, prompted: Prompted, why: str) -> Sequence[Thought]:
        """Answer without the model, and say so once."""
        thoughts = tuple(self._plain.thoughts(prompted)) if prompted.cue in TO_US else ()
        if not thoughts:
            return ()
        _log.warning("mind_replaced", model=self.name, problem=why)
        if self._told_so:
            return thoughts
        self._told_so = not prompted.guessed
        tongue = tongue_of(prompted.lines[-1].text)
        return (Aloud(_WITHOUT[GERMAN if tongue == GERMAN else "en"]), *thoughts)

    # ── bounds ───────────────────────────────────────────────────────────────────────────

    def _may_ask(self) -> bool:
        now, recent = self._now(), self._spent.recent
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= self._bounds.answers_per_minute:
            return False
        recent.append(now)
        return True

    def _why_not(self) -> str:
        """Say why the model isn't asked, "" where it is."""
        if self._broken:
            return self._broken
        if self._spent.tokens >= self._bounds.meeting_tokens:
            return f"{self._bounds.meeting_tokens:,} tokens were used in this meeting"
        if self._now() < self._rests_until:
            return "it failed a moment ago"
        return ""

    def _note(self, error: LocumError) -> None:
        """Let a failure count: one that doesn't pass for the meeting, another for a while."""
        if isinstance(error, TransientError):
            rest = min(max(error.retry_after, timedelta(0)), _LONGEST_REST) or _REST
            self._rests_until = self._now() + min(rest, _LONGEST_REST).total_seconds()
        else:
            self._broken = str(error)
        _log.warning("model_failed", model=self.name, problem=str(error))

    async def _talker(self) -> Talker:
        """Answer what talks with the model; made once, shared by whoever waits for it."""
        if self._hired is None or (self._hired.done() and self._hired.exception()):
            self._hired = asyncio.ensure_future(_hire(self._address))
        return await asyncio.shield(self._hired)


async def _hire(address: ModelAddress) -> Talker:
    if find_spec("pydantic_ai") is None:
        raise HumanNeededError(
            "[brain]: a language model needs what isn't installed.",
            hint="Install the extra: pip install 'locum[brain]'. Or take [brain] out of the config.",
        )
    return await asyncio.to_thread(_make_talker, address)


def _make_talker(address: ModelAddress) -> Talker:
    from locum.minds.talker import Talker

    return Talker(address)
