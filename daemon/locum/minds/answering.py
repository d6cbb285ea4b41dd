"""One answer of a model: a task thinks and uses tools, and whoever iterates hears of it.

What the model says reaches the mandate's `Outgoing` first; what that lets through is all that
anybody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from locum.core.mandate import Outgoing
from locum.core.talk import Cue
from locum.core.tongues import GERMAN, tongue_of
from locum.errors import LocumError
from locum.minds.bounds import Bounds, GuessedError, Wanted
from locum.minds.brief import Brief, day_of
from locum.minds.prompts import SILENCE
from locum.ports import Aloud, Deferred, Doing, Prompted, Thought, Tool, Toolbox

if TYPE_CHECKING:
    from locum.minds.talker import Dialogue

_log = structlog.get_logger(__name__)

_MOST_ROUNDS = 4
_MOST_TOOLS = 6
_LONGEST_RESULT = 8_000  # Characters of a tool's answer that are read.
_LONGEST_QUESTION = 1_000

TO_US = frozenset({Cue.NAMED, Cue.ALONE, Cue.FOLLOW_UP, Cue.RESUME})
"""Who is asked by these waits for a word of ours."""

_LOST = {
    "en": " Sorry, I lost the thread there.",
    "de": " Entschuldigung, ich habe den Faden verloren.",
}
_NOTHING = {
    "en": "I have no answer to that; I'll take it to {owner}.",
    "de": "Darauf habe ich keine Antwort; ich nehme es für {owner} mit.",
}

Begin = Callable[[Prompted, Sequence[Tool]], Awaitable["Dialogue"]]


@dataclass(frozen=True)
class _Words:
    text: str


@dataclass(frozen=True)
class _Learned:
    """What a tool answered: to repeat it isn't to promise."""

    text: str


class Answering:
    """One answer, made once. `think` is to run beside `thoughts`."""

    def __init__(
        self, brief: Brief, toolbox: Toolbox | None, bounds: Bounds, prompted: Prompted
    ) -> None:
        self.failure: LocumError | None = None
        """Why the model gave no whole answer."""
        self.has_said = False
        self._brief = brief
        self._toolbox = toolbox
        self._bounds = bounds
        self._prompted = prompted
        self._asked = prompted.lines[-1]
        self._tongue = GERMAN if tongue_of(self._asked.text) == GERMAN else "en"
        self._events: asyncio.Queue[_Words | _Learned | Doing | LocumError | None] = (
            asyncio.Queue()
        )
        self._outgoing = Outgoing(brief.mandate, self._asked, on=day_of(self._asked.at))
        self._beginning = ""  # The first words, while they may be a mere "-".
        self._has_begun = False
        self._used_tools = 0
        self._dialogue: Dialogue | None = None

    @property
    def tokens(self) -> int:
        """Answer how many tokens it took by now."""
        return 0 if self._dialogue is None else self._dialogue.used.tokens

    # ── what is heard of it ──────────────────────────────────────────────────────────────

    async def thoughts(self) -> AsyncIterator[Thought]:
        """Tell what may be heard, until all was thought or nothing more may be.

        Raises:
            GuessedError: It takes a tool that isn't used on a guess.
        """
        while not self._outgoing.over:
            event = await self._events.get()
            if event is None:
                break
            if isinstance(event, GuessedError):
                raise event
            if isinstance(event, LocumError):
                self.failure = event
                break
            for thought in self._taken(event):
                self.has_said = self.has_said or not isinstance(thought, Doing)
                yield thought
        for thought in self._last():
            yield thought

    def _taken(self, event: _Words | _Learned | Doing) -> Iterator[Thought]:
        if isinstance(event, Doing):
            yield event
        elif isinstance(event, _Learned):
            self._outgoing.learn(event.text)
        else:
            yield from self._outgoing.take(self._begun(event.text))

    def _begun(self, text: str) -> str:
        """Answer the words that count; a beginning that may be "nothing to say" waits."""
        if self._has_begun:
            return text
        self._beginning += text
        if self._beginning.strip() in {"", SILENCE}:
            return ""
        self._has_begun = True
        return self._beginning.lstrip()

    def _last(self) -> Iterator[Thought]:
        left = self._outgoing.end()
        self.has_said = self.has_said or bool(left)
        yield from left
        if self.failure is not None:
            if self.has_said:
                yield Aloud(_LOST[self._tongue])
        elif not self.has_said and not self._beginning.strip() and self._prompted.cue in TO_US:
            self.has_said = True
            yield Aloud(_NOTHING[self._tongue].format(owner=self._brief.owner))
            yield Deferred(self._asked.text[:_LONGEST_QUESTION], self._asked.speaker)

    # ── thinking ─────────────────────────────────────────────────────────────────────────

    async def think(self, begin: Begin) -> None:
        """Ask the model, and use the tools that it wants; raises nothing."""
        try:
            await self._think(begin)
        except LocumError as error:
            self._events.put_nowait(error)
        else:
            self._events.put_nowait(None)

    async def _think(self, begin: Begin) -> None:
        tools = {tool.name: tool for tool in self._toolbox.tools} if self._toolbox else {}
        dialogue = self._dialogue = await begin(self._prompted, tuple(tools.values()))
        for _ in range(_MOST_ROUNDS):
            wanted = await dialogue.go_on(self._hear, self._bounds.patience)
            if not wanted:
                return
            results = [(each, await self._used(each, tools.get(each.name))) for each in wanted]
            dialogue.answer(results)
        _log.warning("mind_went_round", rounds=_MOST_ROUNDS)

    def _hear(self, words: str) -> None:
        self._events.put_nowait(_Words(words))

    async def _used(self, wanted: Wanted, tool: Tool | None) -> str:
        """Use a tool; answers its text, or why there is none, for the model."""
        if tool is None or self._toolbox is None:
            return f"There is no tool {wanted.name}."
        if self._prompted.guessed and not tool.only_looks:
            raise GuessedError(tool.name)
        self._used_tools += 1
        if self._used_tools > _MOST_TOOLS:
            return "No more tools for this answer: say what you know."
        self._events.put_nowait(Doing(tool.name, tool.announce))
        try:
            done = await self._toolbox.call(
                tool.name,
                wanted.arguments,
                asked_by=self._asked.speaker,
                guessed=self._prompted.guessed,
            )
        except LocumError as error:
            _log.info("tool_failed", tool=tool.name, problem=type(error).__name__)
            return f"It didn't work: {error}"[:_LONGEST_RESULT]
        text = done.text[:_LONGEST_RESULT]
        self._events.put_nowait(_Learned(text))
        return text
