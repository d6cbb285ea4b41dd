"""Conversations as the config has them: the mind, ears and voice of one meeting, opened and closed.

What can't be had is done without, and said: a mind without a model, ears that are Meet's captions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread
import structlog

from locum.app import actions
from locum.app.briefing import desk_of
from locum.app.hearing import Ears, ears_of, endpointer_of, hearing_of, recognizer_of, source_of
from locum.app.minds import Minds
from locum.config.model import Config
from locum.conversation.conversation import Conversation
from locum.conversation.parts import Settings, Tell
from locum.core.briefing import Briefing
from locum.core.calling import Names
from locum.core.compartments import NOBODY
from locum.core.model import SessionKey
from locum.core.talk import Attention
from locum.core.truths import the_truth
from locum.errors import LocumError
from locum.ledger import Ledger
from locum.participating import Seat
from locum.persona import PersonaCard
from locum.ports import CalendarSource, Clock, Toolbox, Verdict, Voice

_log = structlog.get_logger(__name__)

_MOST_HINTS = 40


@dataclass(frozen=True)
class Talks:
    """Opens conversations for one session's process.

    `voices` are by the engine's name; `on_change` tells the daemon that the ledger has news.
    """

    config: Config
    config_path: Path
    state: Path
    clock: Clock
    ledger: Ledger
    session: SessionKey
    voices: Mapping[str, Voice]
    on_change: Callable[[], None]
    environ: Mapping[str, str]
    sources: Callable[[], Sequence[CalendarSource]]

    @asynccontextmanager
    async def open(self, seat: Seat, tell: Tell) -> AsyncIterator[Conversation]:
        """Have all that a conversation takes, for as long as it lasts.

        Raises:
            LocumError: It can't be had now; the message says what.
        """
        config, card = self.config, seat.card
        async with AsyncExitStack() as stack:
            toolbox = await actions.ready(self._bench, self._occasion(seat))
            stack.push_async_callback(toolbox.aclose)
            briefing = await self._briefing(seat)
            minds = Minds(config, self.environ)
            mind = await anyio.to_thread.run_sync(
                lambda: minds.mind(card, seat.meeting, briefing, toolbox=toolbox)
            )
            stack.push_async_callback(mind.aclose)
            ears = await anyio.to_thread.run_sync(ears_of, config.hearing, self.state)
            recognizer = recognizer_of(ears, state=self.state, environ=self.environ)
            hearing = None
            if recognizer is not None:
                stack.push_async_callback(recognizer.aclose)
                hearing = hearing_of(ears, recognizer, hints=_hints(seat))
                stack.push_async_callback(hearing.aclose)
            endpointer = await anyio.to_thread.run_sync(endpointer_of, ears, self.state)
            stack.callback(endpointer.close)
            _log.info(
                "conversation_opened",
                mind=mind.name,
                ends=endpointer.name,
                ears="Meet's captions" if recognizer is None else recognizer.name,
                tools=len(toolbox.tools),
            )
            conversation = Conversation(
                seat.session,
                voice=self.voices.get(seat.engine),
                mind=mind,
                hearing=hearing,
                endpointer=endpointer,
                settings=self._settings(seat, ears),
                clock=self.clock,
                tell=tell,
            )
            telling = asyncio.ensure_future(_tell_outcomes(toolbox, conversation, card.owner))
            stack.push_async_callback(_ended, telling)
            yield conversation

    @property
    def _bench(self) -> actions.Workbench:
        return actions.Workbench(
            config=self.config,
            state=self.state,
            clock=self.clock,
            ledger=self.ledger,
            environ=self.environ,
            sources=self.sources,
            on_change=self.on_change,
            config_path=self.config_path,
        )

    def _occasion(self, seat: Seat) -> actions.Occasion:
        card = seat.card
        return actions.Occasion(card.name, card.owner, seat.meeting, self.session)

    async def _briefing(self, seat: Seat) -> Briefing:
        try:
            with desk_of(self.config, self.state) as desk:
                return await desk.briefing(seat.meeting)
        except LocumError as error:
            _log.error("briefing_failed", problem=str(error))
            return Briefing(NOBODY)

    def _settings(self, seat: Seat, ears: Ears) -> Settings:
        card = seat.card
        language = ears.language
        return Settings(
            names=_names(card),
            owner=card.owner,
            the_truth=partial(
                the_truth, name=card.display_name, owner=card.owner, usual=language[:2]
            ),
            attention=Attention.LISTEN if seat.listens_only else self._attention(card),
            language=language,
            source=source_of(ears),
        )

    def _attention(self, card: PersonaCard) -> Attention:
        table = self.config.personas.get(card.name)
        return Attention.WHEN_ADDRESSED if table is None else table.attention


def _names(card: PersonaCard) -> Names:
    names = Names.of(card.display_name, card.owner)
    return Names(card.tile, names.ours, names.owners)


def _hints(seat: Seat) -> tuple[str, ...]:
    """Answer names that are likely to be said."""
    people = (each.person.label for each in seat.meeting.attendees)
    named = dict.fromkeys((seat.card.display_name, seat.card.owner, *people))
    return tuple(each for each in named if each)[:_MOST_HINTS]


_OUTCOMES = {
    Verdict.DONE: "{owner} approved what {asker} asked for ({tool}): {text}",
    Verdict.FAILED: "{owner} approved what {asker} asked for ({tool}); it went wrong: {text}",
    Verdict.DENIED: "{owner} didn't approve what {asker} asked for ({tool}).",
    Verdict.EXPIRED: "What {asker} asked for ({tool}) wasn't approved in time.",
}


async def _tell_outcomes(toolbox: Toolbox, conversation: Conversation, owner: str) -> None:
    """Write into the chat what became of the calls that waited for the owner."""
    async for outcome in toolbox.outcomes():
        conversation.write(
            _OUTCOMES[outcome.verdict].format(
                owner=owner,
                asker=outcome.asked_by or "somebody",
                tool=outcome.tool,
                text=outcome.text,
            )
        )


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
