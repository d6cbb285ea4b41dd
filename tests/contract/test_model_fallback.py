"""What writes the minutes where a model fails; and how a config and a rehearsal name one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from locum.app.parts import brain_of
from locum.brains.fallback import FallbackBrain
from locum.config.load import load
from locum.core.minutes import Claim, Evidence, Minutes, Occasion, hold_to_evidence
from locum.core.transcript import Transcript
from locum.ports import Answer, Finding, Health, Passage
from locum.rehearsal.configuring import write_config
from locum.rehearsal.faults import Fault
from locum.rehearsal.scenario import find_scenario, load_scenario
from locum.rehearsal.stage import Stage
from tests.contract.model_rig import OCCASION, PASSAGES, START, Rig, modelled, transcript_of


@pytest.fixture
def rig() -> Iterator[Rig]:
    with modelled() as made:
        yield made


# ── falling back ─────────────────────────────────────────────────────────────────────────


@dataclass
class Plain:
    """A brain without a model, as simple as can be."""

    name: str = "plain"
    closed: bool = False

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        first = transcript.utterances[0]
        claim = Claim(first.text, (Evidence(first.id, first.text),))
        return hold_to_evidence(Minutes("plain", tldr=(claim,)), transcript)

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        return Answer(passages[0].text, (passages[0].id,))

    async def check(self) -> tuple[Finding, ...]:
        return (Finding("plain", Health.OK, "ready"),)

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class LeapingClock:
    """A clock on which waiting takes no time of the host's."""

    at: datetime = START
    slept: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        self.at += duration

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


def with_fallback(rig: Rig, clock: LeapingClock) -> FallbackBrain:
    return FallbackBrain(rig.brain(), Plain(), clock=clock)


def test_model_is_asked_again_when_it_says(rig: Rig) -> None:
    """A busy model is waited for as long as it asked, and writes the minutes then."""
    clock = LeapingClock()
    rig.stage.faults.add(Fault("/chat/", status=429, headers={"Retry-After": "40"}, times=2))

    minutes = rig.write(brain=with_fallback(rig, clock))

    assert (minutes.written_by, minutes.remark) == ("stage-1", "")
    assert clock.slept == [timedelta(seconds=40)] * 2


@pytest.mark.parametrize(
    ("fault", "requests", "reason"),
    [
        (Fault(status=503), 3, "503"),
        (Fault(status=503, headers={"Retry-After": "3600"}), 1, "503"),
        (Fault(status=400), 1, "400"),
        (Fault(status=401), 1, "Check the key"),
    ],
)
def test_other_brain_steps_in_and_says_so(
    rig: Rig, fault: Fault, requests: int, reason: str
) -> None:
    """Broken for good, or too late: the minutes are the other's, with the reason."""
    rig.stage.faults.add(replace(fault, path="/chat/", times=None))

    minutes = rig.write(brain=with_fallback(rig, LeapingClock()))

    assert minutes.written_by == "plain"
    assert minutes.remark.startswith("Written without the model stage-1: ")
    assert reason in minutes.remark
    assert rig.requests == requests


def test_questions_and_checks_fall_back_too(rig: Rig) -> None:
    """A question is asked of the model once; both brains are checked and closed."""
    rig.stage.faults.add(Fault("/chat/", status=503, times=None))
    plain = Plain()
    brain = FallbackBrain(rig.brain(), plain, clock=LeapingClock())

    async def use() -> tuple[Answer | None, tuple[Finding, ...]]:
        try:
            return await brain.answer("What?", PASSAGES), await brain.check()
        finally:
            await brain.aclose()

    answer, findings = anyio.run(use)

    assert answer == Answer(PASSAGES[0].text, ("p1",))
    assert [each.subject for each in findings] == ["brain", "plain"]
    assert plain.closed
    assert rig.requests == 1


# ── the config, and the stage ────────────────────────────────────────────────────────────


def test_rehearsal_is_written_up_by_the_stages_model(tmp_path: Path) -> None:
    """A scenario with [model] makes a config whose brain is the stage's own model."""
    scenario = tmp_path / "scenario.toml"
    default = find_scenario("default").read_text()
    scenario.write_text(f'{default}\n[model]\nmodel = "stage-2"\nbehaviour = "good"\n')
    stage = Stage(load_scenario(scenario))

    with stage.open() as addresses:
        config = load(write_config(stage, addresses, tmp_path / "stage")).config
        brain = brain_of(config, {}, clock=LeapingClock(), plain=Plain())
        minutes = anyio.run(brain.write_minutes, transcript_of(), OCCASION)

    assert minutes.written_by == "stage-2"
    assert minutes.decisions


def test_without_a_model_the_plain_brain_writes(tmp_path: Path) -> None:
    """No [model] on the stage, no [brain] in its config, no model asked."""
    stage = Stage(load_scenario(find_scenario("default")))

    with stage.open() as addresses:
        config = load(write_config(stage, addresses, tmp_path)).config

    plain = Plain()
    assert config.brain is None
    assert brain_of(config, {}, clock=LeapingClock(), plain=plain) is plain


def test_pydantic_ai_is_only_imported_for_a_model() -> None:
    """The daemon's parts are built without it, so locum runs where the extra isn't."""
    import subprocess
    import sys

    script = (
        "import sys, locum.app.parts, locum.rehearsal.stage;"
        "print([n for n in ('pydantic_ai', 'openai', 'httpx2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout.decode().strip() == "[]"
