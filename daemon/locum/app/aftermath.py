"""What becomes of a meeting that is over: written up, remembered, and again when more is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from locum.app.parts import Workshop, sinks_of
from locum.app.remembering import Remembering, memory_of
from locum.app.state import State
from locum.config.model import Config
from locum.core.model import Meeting, Person, SessionKey
from locum.core.transcript import Transcript, Utterance
from locum.debrief import Debrief
from locum.gathering import Gathering, transcribed
from locum.metrics import Metrics
from locum.ports import Clock


class Aftermath:
    """The parts that work after meetings, each given what it needs of the others.

    `wake` asks for a pass: that finds what is to be written up.
    """

    def __init__(
        self,
        config: Config,
        *,
        state: State,
        clock: Clock,
        metrics: Metrics,
        workshop: Workshop,
        wake: Callable[[], None],
    ) -> None:
        self._wake = wake
        self.contacts: Callable[[], Sequence[Person]] = tuple
        """Answers the people that are known, to tell who spoke. Called beside the loop."""
        self.debrief = Debrief(
            state.ledger,
            clock,
            metrics,
            sinks=sinks_of(config, state.folder),
            engines={},
            personas={},
        )
        self.remembering = Remembering(state.folder, state.ledger, clock, memory_of(config))
        self.gathering = Gathering(
            ledger=state.ledger,
            clock=clock,
            setting=workshop.gathering(config),
            on_news=self._news_came,
        )
        self.debrief.recall = self.remembering.recall
        self.debrief.remember = self.remembering.remember
        self.debrief.transcribe = self._transcribed
        self.debrief.awaited = self.gathering.awaited
        self.debrief.none_from = self.gathering.none_from

    def _news_came(self, session: SessionKey) -> None:
        """More may be known of a meeting that is over: its summary is looked at anew."""
        self.debrief.renew(session)
        self._wake()

    def _transcribed(self, said: Sequence[Utterance], meeting: Meeting) -> Transcript:
        contacts = self.contacts() if said else ()
        return transcribed(said, meeting, contacts=contacts)
