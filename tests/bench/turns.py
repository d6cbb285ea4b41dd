"""A conversation, measured by who receives it: `python -m tests.bench.turns`.

A persona of our own engine (a real Chromium, as `locum attend` runs it) in a room on the stage
with people who play recordings, and a listener, one more participant, who takes the times; see
`tests.bench.room`. The ends of their speech are marked by hand. Declared stand-ins: a model whose
first token takes 200 ms, and a voice (espeak-ng) whose first sound takes 100 ms. What hears is
Moonshine, and smart-turn has a say in when a turn is over: both are pulled into ~/.cache/locum, as
`locum models pull` does. Where that can't be, or with `--fresh`, it is what a fresh machine has,
pocketsphinx and no model. Whoever listens for the bench isn't counted among those in the room.

Each row is `name value unit`:

    pair.…   a room of two; six.… six others who take turns
    pair.warm.…        requests, and answers to what the persona has asked
    pair.stated.…      statements that ask for nothing: their speakers are left time to go on
    …end_to_sound_…    from a person's last sound to our first one, received
    …end_to_say_…      the same, inside: until the first piece is handed to the page
    where.…            when what had happened, after a person's last sound (medians)
    cut_in.…           our sound in a pause of 0.3 to 1.5 s of a turn that goes on: people's own
                       pauses (natural), silence put between two words (drawn_out), and both
    barge_in.…         from an interruption's first sound to our silence, received
    lips.…             mouth against sound in a long answer (positive: picture late)
    …cores_…           of the session's whole process tree
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from locum.ears import moonshine, smart_turn
from locum.errors import LocumError
from locum.models.pulling import pull
from tests.bench.presence import Spent
from tests.bench.room import NOBODY, ROOM, Played, Rig, RigError, Teller, rig
from tests.presence_process import TILE
from tests.speech import Recording, recordings

_LIP = (0.47, 0.678, 0.06, 0.03)
"""A strip just below the resting lips of the drawn face, in fractions."""

_SETTLE_S = 3.0
_TAIL_S = 2.0
_ANSWERED_WITHIN_S = 4.0
_LONGEST_ANSWER_S = 25.0
_EARLY_S = 0.03
_SHORT = "Yes, that is right."
_ASKING = "Yes, that is right. And what else?"
_LONG = (
    "Yes, I have looked at that. Papa made about a half of a far bigger mark above, and Emma may "
    "map a farm, so the numbers are better than they were. We may also move the rest of it to "
    "Monday, if nobody minds, and have a calm look at all of them again."
)

_QUESTIONS = (
    "please-try-again", "goforward", "vm-enter-num-to-call", "cards-003",
    "check-number-dial-again", "something", "conf-getpin", "cards-005", "pls-hold-while-try",
    "cards-001", "please-try-call-later", "numbers", "conf-getconfno", "cards-002",
)  # fmt: skip
"""Requests, and bare answers, of seven speakers."""
_STATEMENTS = ("austen-0880", "austen-0930", "austen-0920", "austen-0890")
_DRAWN_OUT = ("goforward", "cards-002", "cards-005", "austen-0890", "jfk")
_INTERRUPTIONS = (
    "goforward", "cards-003", "austen-0880", "something", "pls-hold-while-try", "jfk",
    "austen-0930", "cards-001", "numbers", "check-number-dial-again",
)  # fmt: skip

Row = tuple[str, float, str]


# ── what happened ────────────────────────────────────────────────────────────────────────


@dataclass
class Turns:
    """What came of people's turns, in ms: latencies, and marks inside by their names."""

    received: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    where: dict[str, list[float]] = field(default_factory=dict)
    unanswered: int = 0
    early: int = 0

    def take(self, other: Turns) -> None:
        self.received += other.received
        self.inside += other.inside
        self.unanswered += other.unanswered
        self.early += other.early

    def rows(self, name: str) -> Iterator[Row]:
        yield f"{name}.turns", len(self.received), ""
        yield f"{name}.unanswered", self.unanswered, ""
        yield f"{name}.answered_too_soon", self.early, ""
        yield from spread(f"{name}.end_to_sound", self.received)
        yield from spread(f"{name}.end_to_say", self.inside)


def spread(name: str, values: Sequence[float], unit: str = "ms") -> Iterator[Row]:
    if values:
        yield f"{name}_p50", float(np.percentile(values, 50)), unit
        yield f"{name}_p95", float(np.percentile(values, 95)), unit
        yield f"{name}_max", max(values), unit


@dataclass
class Persona:
    """The persona's process, and what it says of itself."""

    body: Teller
    orders: int = 0

    async def answers(self, words: str) -> None:
        self.orders += 1
        await self.body.ask(answer=words, number=self.orders)
        await self.body.hears(lambda told: told.get("number") == self.orders, 10)

    def marks(self, after: float) -> list[dict[str, Any]]:
        return [each for each in self.body.told if each.get("at", 0.0) > after]

    async def begins(self, after: float, within_s: float) -> bool:
        """Wait until it begins to say something, after `after`."""
        found = await self.body.hears(
            lambda told: told.get("mark") == "first_piece" and told["at"] > after, within_s
        )
        return found is not None

    async def said(self, after: float, within_s: float) -> bool:
        """Wait until it has said something whole, or cut, that it began after `after`."""
        found = await self.body.hears(
            lambda told: told.get("mark") == "said" and told["at"] > after, within_s
        )
        return found is not None


async def until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))


# ── people's turns ───────────────────────────────────────────────────────────────────────


async def turns(
    room: Rig,
    persona: Persona,
    questions: Sequence[Recording],
    people: int,
    seed: int,
    by: int = 0,
) -> Turns:
    """Let people ask one after the other, from `by` on, each once the last answer is over."""
    drawn, found = random.Random(seed), Turns()
    for number, question in enumerate(questions):
        played = await room.play(question.with_tail(_TAIL_S), who=(by + number) % people)
        await until(played.end)
        if answered := await persona.begins(played.end - _EARLY_S, _ANSWERED_WITHIN_S):
            await persona.said(played.end, _LONGEST_ANSWER_S)
        await asyncio.sleep(0.5 + drawn.uniform(0, 0.4))
        told = _note(found, room, persona, played, answered=answered)
        progress(f"{number + 1}/{len(questions)} {question.name}: {told}")
    return found


def _note(found: Turns, room: Rig, persona: Persona, played: Played, *, answered: bool) -> str:
    onset = room.listener.persona.onset(played.onset)
    if onset is None or not answered:
        found.unanswered += 1
        return "unanswered"
    if onset < played.end - _EARLY_S:
        found.early += 1
        return "too soon"
    found.received.append(1e3 * (onset - played.end))
    where: dict[str, float] = {}
    for mark in persona.marks(played.stretches[-1][0] + played.began):
        if mark["at"] > onset:
            break
        # Of what happens again, while one thinks anew, the last counts; of sounds, the first.
        if mark["mark"] in {"thinking", "speaking"}:
            where.pop("sound", None)
        at = 1e3 * (mark["at"] - played.end)
        where[mark["mark"]] = where.get("sound", at) if mark["mark"] == "sound" else at
    for name in ("VoicePaused", "guessed", "certainty", "thinking", "token", "sound", "say"):
        if name in where:
            found.where.setdefault(name, []).append(where[name])
    if "first_piece" in where:
        found.inside.append(where["first_piece"])
    return f"{found.received[-1]:.0f} ms"


# ── pauses ───────────────────────────────────────────────────────────────────────────────


@dataclass
class Pauses:
    """How many pauses of 0.3 to 1.5 s there were, and in how many we were heard."""

    count: int = 0
    cut: int = 0

    def __add__(self, other: Pauses) -> Pauses:
        return Pauses(self.count + other.count, self.cut + other.cut)

    def rows(self, name: str) -> Iterator[Row]:
        yield f"{name}.pauses", self.count, ""
        yield f"{name}.cut", self.cut, ""
        if self.count:
            yield f"{name}.share", 100 * self.cut / self.count, "%"


@dataclass(frozen=True)
class Paused:
    """A recording, and which of its silences count: (begin, end) in its seconds."""

    recording: Recording
    silences: tuple[tuple[float, float], ...]


def natural(names: Sequence[str]) -> Iterator[Paused]:
    for name in names:
        each = recordings()[name]
        yield Paused(each, each.pauses)


def drawn_out(names: Sequence[str], seed: int) -> Iterator[Paused]:
    """Give recordings with silence between two words, at each joint that is marked in them."""
    drawn, known = random.Random(seed), recordings()
    for name in names:
        for joint, (at, _) in enumerate(known[name].joints):
            longer = known[name].drawn_out(joint, drawn.uniform(0.3, 1.5))
            yield Paused(longer, tuple(each for each in longer.pauses if each[0] == at))


async def pauses(room: Rig, persona: Persona, told: Iterable[Paused]) -> Pauses:
    found = Pauses()
    for each in told:
        played = await room.play(each.recording.with_tail(_TAIL_S))
        await until(played.end)
        await persona.said(played.end, _ANSWERED_WITHIN_S)
        await asyncio.sleep(0.5)
        track = room.listener.persona
        for begin, end in each.silences:
            if not 0.3 <= end - begin <= 1.5:
                continue
            found.count += 1
            onset = track.onset(played.at(begin), played.at(end))
            if onset is not None and not track.loud(played.at(begin) - 0.1, played.at(begin)):
                found.cut += 1
                progress(
                    f"cut into {each.recording.name} at {begin:.2f} s for {end - begin:.2f} s"
                )
    return found


# ── interruptions ────────────────────────────────────────────────────────────────────────


@dataclass
class Interruptions:
    received: list[float] = field(default_factory=list)
    missed: int = 0  #: Not silent within 2 s of the interruption, …
    void: int = 0  #: … or nothing was being said that could be interrupted.

    def rows(self) -> Iterator[Row]:
        yield "barge_in.count", len(self.received), ""
        yield "barge_in.not_heeded", self.missed, ""
        yield "barge_in.void", self.void, ""
        yield from spread("barge_in.onset_to_silence", self.received)


async def interruptions(room: Rig, persona: Persona, count: int, seed: int) -> Interruptions:
    """Ask, let the answer begin, and interrupt it by speaking on."""
    drawn, found = random.Random(seed), Interruptions()
    known = recordings()
    for number in range(count):
        await persona.answers(_LONG)
        question = known[_QUESTIONS[number % 4]]
        asked = await room.play(question.with_tail(0.6))
        await until(asked.end)
        begun = await persona.begins(asked.end, _ANSWERED_WITHIN_S)
        await asyncio.sleep(drawn.uniform(1.0, 2.0))
        await persona.answers(_SHORT)
        interruption = known[_INTERRUPTIONS[number % len(_INTERRUPTIONS)]]
        played = await room.play(interruption.with_tail(_TAIL_S))
        await until(played.end)
        await persona.said(played.end, _ANSWERED_WITHIN_S)
        track = room.listener.persona
        if not begun or not track.loud(played.onset - 0.15, played.onset):
            found.void += 1
        elif (silent := track.silence(played.onset)) is None or silent > played.onset + 2:
            found.missed += 1
        else:
            found.received.append(1e3 * (silent - played.onset))
            progress(f"interrupted {number + 1}/{count}: {found.received[-1]:.0f} ms")
        await asyncio.sleep(1.0)
    return found


# ── rooms ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plan:
    """How much of what is measured."""

    turns: int
    interruptions: int
    told: tuple[str, ...]
    drawn_out: tuple[str, ...]
    stated: int
    six: int
    rooms: tuple[int, ...] = (1, 6)
    moonshine: str = ""
    smart_turn: str = ""
    width: int = 1280
    height: int = 720


async def in_room(
    people: int, plan: Plan, folder: Path, work: Any, called: str = ""
) -> list[Row]:
    """Bring a persona into a room of its own, let `work` measure, and take it out again."""
    from locum.rehearsal.meet.media.observer import Region

    async with rig(people, folder, (Region("lip", *_LIP),)) as room:
        wanted = {
            "base": room.url,
            "room": ROOM,
            "folder": str(folder / "home"),
            "width": plan.width,
            "height": plan.height,
            "moonshine": plan.moonshine,
            "smart_turn": plan.smart_turn,
            "called": called,
        }
        body = await Teller.start("tests.conversing_process", json.dumps(wanted))
        try:
            live = await body.hears(lambda told: told.get("mark") in {"live", "failed"}, 90)
            if live is None or live["mark"] == "failed":
                raise RigError(f"the persona isn't in: {(live or {}).get('why', 'no word')}")
            await asyncio.sleep(_SETTLE_S)
            rows: list[Row] = await work(room, Persona(body), plan)
        finally:
            await body.aclose()
        return rows


async def pair(room: Rig, persona: Persona, plan: Plan) -> list[Row]:
    known = recordings()
    await persona.answers(_ASKING)
    cold = await turns(room, persona, [known["goforward"]], 1, 0)
    questions = [known[_QUESTIONS[n % len(_QUESTIONS)]] for n in range(plan.turns)]
    before = Spent.of(persona.body.pid)
    warm = await turns(room, persona, questions, 1, 1)
    cores = Spent.of(persona.body.pid).cores_since(before)
    rows = [*cold.rows("pair.cold"), *warm.rows("pair.warm")]
    rows += [
        (f"where.{name}_p50", float(np.median(values)), "ms")
        for name, values in warm.where.items()
    ]
    rows += [*_cores("pair", cores)]
    await persona.answers(_SHORT)
    told = [known[_STATEMENTS[n % len(_STATEMENTS)]] for n in range(plan.stated + 1)]
    rows += (await turns(room, persona, told, 1, 6)).rows("pair.stated")
    by_nature = await pauses(room, persona, natural(plan.told))
    by_hand = await pauses(room, persona, drawn_out(plan.drawn_out, 7))
    rows += [*by_nature.rows("cut_in.natural"), *by_hand.rows("cut_in.drawn_out")]
    rows += (by_nature + by_hand).rows("cut_in")
    rows += (await interruptions(room, persona, plan.interruptions, 2)).rows()
    room.listener.look_at(TILE)
    await persona.answers(_LONG)
    await turns(room, persona, [known["goforward"]], 1, 5)
    room.listener.look_at(NOBODY)
    return [*rows, *_lips(room)]


def _lips(room: Rig) -> Iterator[Row]:
    clocks: tuple[Literal["arrival", "sender"], ...] = ("arrival", "sender")
    for clock in clocks:
        windows = room.listener.lips("lip", clock)
        if windows:
            yield f"lips.{clock}_p50", float(np.median(windows)), "ms"
            yield f"lips.{clock}_p95", float(np.percentile(np.abs(windows), 95)), "ms"
        yield f"lips.{clock}_windows", len(windows), ""


def _cores(name: str, cores: dict[str, float]) -> Iterator[Row]:
    for kind in sorted(cores):
        yield f"{name}.cores_{kind}", cores[kind], "cores"
    yield f"{name}.cores_all", sum(cores.values()), "cores"


async def six(room: Rig, persona: Persona, plan: Plan) -> list[Row]:
    """Six take turns; who says "seven of clubs" calls the persona by its name there, "Seven".

    Each calls it so, and answers what it asks then without another name.
    """
    known = recordings()
    await persona.answers(_ASKING)
    called, warm = Turns(), Turns()
    cold = await turns(room, persona, [known["cards-003"]], 6, 0)
    before = Spent.of(persona.body.pid)
    for number in range(plan.six):
        called.take(await turns(room, persona, [known["cards-003"]], 6, 3, by=number))
        question = known[_QUESTIONS[2 * number % len(_QUESTIONS)]]
        warm.take(await turns(room, persona, [question], 6, 8, by=number))
    await persona.answers(_SHORT)
    others = [known[_QUESTIONS[n]] for n in (0, 2, 4)]
    aside = await turns(room, persona, others, 6, 4)
    cores = Spent.of(persona.body.pid).cores_since(before)
    rows = [*cold.rows("six.cold"), *called.rows("six.called"), *warm.rows("six.warm")]
    rows += _cores("six", cores)
    return [*rows, ("six.answered_without_being_called", len(aside.received) + aside.early, "")]


def _pulled(model: str, unusable: Callable[[Path], str], file: str = "") -> str:
    """Answer where a model lies, pulling it if need be; empty if it can't be had."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    try:
        folder = pull(Path(cache) / "locum", model, tell=progress).folder
    except LocumError as error:
        progress(f"without {model}: {error}")
        return ""
    if problem := unusable(folder / file):
        progress(f"without {model}: {problem}")
        return ""
    return str(folder / file)


def progress(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


async def measured(plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as folder:
        for people, work, called in ((1, pair, ""), (6, six, "Seven")):
            if people not in plan.rooms:
                continue
            home = Path(folder) / str(people)
            home.mkdir()
            progress(f"{people} others, {plan.width}x{plan.height}")
            for name, value, unit in await in_room(people, plan, home, work, called):
                digits = 2 if unit == "cores" else 0
                print(f"{name} {value:.{digits}f} {unit}".rstrip(), flush=True)
    print(f"machine.load_1min {os.getloadavg()[0]:.2f}")


def main() -> None:
    """Print one `name value unit` a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few of each, in a minute")
    parser.add_argument(
        "--fresh", action="store_true", help="with what a fresh machine has: pull no model"
    )
    parser.add_argument(
        "--rooms",
        type=int,
        nargs="+",
        choices=(1, 6),
        default=(1, 6),
        help="with how many others",
    )
    given = parser.parse_args()
    rooms = (1,) if given.quick else tuple(given.rooms)
    plan = Plan(
        turns=6 if given.quick else 30,
        interruptions=2 if given.quick else 10,
        told=("jfk",) if given.quick else ("jfk", "two-cities"),
        drawn_out=("goforward",) if given.quick else _DRAWN_OUT,
        stated=1 if given.quick else 4,
        six=6,
        rooms=rooms,
        moonshine="" if given.fresh else _pulled(moonshine.MODEL, moonshine.unusable),
        smart_turn=""
        if given.fresh
        else _pulled(smart_turn.MODEL, smart_turn.unusable, smart_turn.FILE),
    )
    asyncio.run(measured(plan))


if __name__ == "__main__":
    main()
