"""The stage's model, served, with a brain that asks it; and a small meeting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import anyio

from locum.brains.model import ModelBrain, ModelSettings
from locum.core.minutes import Claim, Minutes, Occasion
from locum.core.model import Person
from locum.core.secret import Secret
from locum.core.transcript import Transcript, Utterance, numbered
from locum.ports import Answer, Brain, Finding, Passage
from locum.rehearsal.model import ModelStage, model_app
from locum.rehearsal.serving import served

START = datetime(2026, 3, 2, 9, tzinfo=timezone.utc)  # A Monday.
KEY = "sk-rehearsal"
OCCASION = Occasion(
    title="Tide gauges",
    start=START,
    owner="Alex Winter",
    stand_in="Robin",
    people=(Person("dana@example.com", "Dana Reyes"),),
)
LINES = (
    ("Dana", "Decided: Brixham and Whitby on Thursday, everybody else later."),
    ("Jonas", "I will calibrate Whitby by Wednesday and post the readings."),
    ("Dana", "Robin, please tell Alex that the alert text needs a yes."),
    ("Mira", "Does anybody object?"),
)


def transcript_of(lines: Sequence[tuple[str, str]] = LINES) -> Transcript:
    return numbered(
        [
            Utterance("", who, text, at=START + timedelta(seconds=10 * n))
            for n, (who, text) in enumerate(lines)
        ]
    )


def a_wednesday(text: str, *, on: date) -> date | None:
    """Resolve as the real resolver would, for the one day that these meetings speak of."""
    return on + timedelta(days=2) if text == "by Wednesday" else None


PASSAGES = (
    Passage("p1", "Brixham and Whitby get the dashboard on Thursday", "Gauges", START, "Dana"),
    Passage("p2", "The alert text still says metres", "Gauges", START, "Mira"),
)


@dataclass
class Rig:
    stage: ModelStage
    base_url: str

    def settings(self, **changes: Any) -> ModelSettings:
        usual = ModelSettings(
            model="stage-1",
            base_url=f"{self.base_url}/v1",
            key=lambda: Secret(KEY),
            timeout=timedelta(seconds=60),
        )
        return replace(usual, **changes)

    def brain(self, **changes: Any) -> ModelBrain:
        return ModelBrain(self.settings(**changes), resolve=a_wednesday)

    def write(
        self,
        transcript: Transcript | None = None,
        *,
        brain: Brain | None = None,
        **changes: Any,
    ) -> Minutes:
        return anyio.run(
            (brain or self.brain(**changes)).write_minutes,
            transcript_of() if transcript is None else transcript,
            OCCASION,
        )

    def ask(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        return anyio.run(self.brain().answer, question, passages)

    def check(self, **changes: Any) -> tuple[Finding, ...]:
        return anyio.run(self.brain(**changes).check)

    @property
    def requests(self) -> int:
        return len(self.stage.log.matching("/chat/completions"))


@contextmanager
def modelled() -> Iterator[Rig]:
    """Serve a model until the block ends."""
    stage = ModelStage()
    with served(model_app(stage)) as server:
        yield Rig(stage, server.base_url)


def proved(minutes: Minutes, transcript: Transcript) -> bool:
    """Whether every claim's every quote stands in the utterance that it names."""
    claims: list[Claim] = [
        *(*minutes.tldr, *minutes.decisions, *minutes.actions, *minutes.questions),
        *(*minutes.asked, *minutes.unclear, *(p for t in minutes.topics for p in t.points)),
    ]
    return all(claim.evidence for claim in claims) and all(
        each.quote in transcript.by_id[each.utterance].text
        for claim in claims
        for each in claim.evidence
    )
