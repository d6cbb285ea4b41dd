"""What a seed stands for: meetings, edits, faults and deaths, all drawn before the first."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

MINUTE = 60.0
LEAD_S = 30.0
GRACE_S = 10 * MINUTE
CAP_S = 40 * MINUTE
"""The policy's figures, in seconds; the cap is short, or meetings without an end take hours."""

ROOMS = ("aaa-aaaa-aaa", "bbb-bbbb-bbb", "ccc-cccc-ccc", "ddd-dddd-ddd", "eee-eeee-eee")

_MANNERS = ("accepted",) * 5 + ("trusted", "own", "declined", "unanswered", "unanswered")
_EDITS = (
    *("move",) * 3,
    *("extend",) * 2,
    *("shorten",) * 2,
    *("cancel",) * 3,
    *("room",) * 2,
    *("answer", "answer", "retitle", "unlink", "remake", "remake", "undo", "undo"),
)
_GOOGLE_STORMS = (
    *("503", "503", "500", "429", "quota", "410", "404"),
    *("refused", "timeout", "reset", "portal", "malformed", "signed out", "signed out", "slow"),
)
_HICCUPS = (
    *("empty", "empty", "malformed", "503", "410", "tokens expire"),
    *("later page 410", "later page 503", "no token", "empty page", "bare tombstones"),
)
_ENGINE_FAULTS = (
    *(("post", each) for each in ("refused", "503", "409", "lost", "lost", "lost before")),
    *(("post", each) for each in ("500", "500 after", "slow", "too slow", "402")),
    *(("look", each) for each in ("503", "lost", "404", "slow", "too slow", "refused")),
    *(("delete", each) for each in ("503", "503", "500", "ignored")),
    *(("delete", each) for each in ("503", "500", "lost", "ignored", "ignored", "too slow")),
    *(("balance", each) for each in ("503", "refused")),
)
_DEATHS = (
    *("commit", "committed") * 3,
    *("post.before", "post.done", "post.done", "post.after", "look.after"),
    *("delete.before", "delete.done", "delete.after", "sink.before", "sink.done", "now"),
)


@dataclass(frozen=True)
class Planned:
    """A meeting as it is first put on the calendar; seconds from the beginning."""

    made_at: float
    start: float
    length: float  #: 0: it has no end.
    room: str
    manner: str
    times: int = 1  #: Above 1: an hourly series.


@dataclass(frozen=True)
class Step:
    at: float
    kind: str
    who: int = 0
    what: str = ""
    amount: float = 0.0


@dataclass(frozen=True)
class Schedule:
    seed: int
    meetings: tuple[Planned, ...]
    steps: tuple[Step, ...]
    delta_lane: bool
    page_size: int | None  #: Google shows so many events at a time; None: all of them.
    cap: float | None  #: US dollars a day; None: no matter what.


def drawn(seed: int) -> Schedule:
    """Draw the schedule of a seed."""
    draw = random.Random(seed)
    meetings = _meetings(draw)
    steps: list[Step] = [
        Step(each.made_at, "make", who=number) for number, each in enumerate(meetings)
    ]
    ends = [each.start + (each.length or CAP_S) for each in meetings]
    until = max(ends)
    marks = [each.start for each in meetings] + ends
    steps += _edits(draw, meetings, until)
    if draw.random() < 0.8:
        steps += _faults(draw, marks, until)
    return Schedule(
        seed=seed,
        meetings=tuple(meetings),
        steps=tuple(sorted(steps, key=lambda step: step.at)),
        delta_lane=draw.random() < 0.4,
        page_size=draw.choice((None, None, 1, 3)),
        cap=draw.choice((6.0, 10.0, 20.0)) if draw.random() < 0.2 else None,
    )


def _meetings(draw: random.Random) -> list[Planned]:
    rooms = draw.sample(ROOMS, draw.randint(1, 5))
    meetings: list[Planned] = []
    for _ in range(draw.randint(3, 8)):
        room = draw.choice(rooms)
        start = draw.randint(1, 10) * 5 * MINUTE
        before = draw.choice(meetings) if meetings else None
        if before is not None and before.length and draw.random() < 0.3:
            # Back to back, or nearly, in the same room.
            room = before.room
            start = before.start + before.length + draw.choice((0, 0, 60, 150, 300, -300))
        length = draw.choice((8, 12, 15, 15, 25, 35)) * MINUTE
        length = 0.0 if draw.random() < 0.05 else length
        made_at = 0.0 if draw.random() < 0.7 else draw.uniform(1, start + 5 * MINUTE)
        times = 2 if length and draw.random() < 0.06 else 1
        manner = draw.choice(_MANNERS)
        meetings.append(Planned(made_at, start, length, room, manner, times))
    return meetings


def _edits(draw: random.Random, meetings: list[Planned], until: float) -> list[Step]:
    steps = []
    for _ in range(draw.choice((0, 0, 1, 2, 3, 5))):
        who = draw.randrange(len(meetings))
        at = draw.choice(
            (
                draw.uniform(1, until),
                meetings[who].start + draw.uniform(-5, 10) * MINUTE,
                meetings[who].start - LEAD_S + draw.uniform(-2, 2),
            )
        )
        amount = float(draw.choice((5, 10, 15, 30, -5, -10)) * 60)
        at = max(1.0, at)
        steps.append(Step(at, draw.choice(_EDITS), who, draw.choice(ROOMS), amount))
        if draw.random() < 0.2:
            steps.append(Step(at + draw.uniform(1, 400), "undo", who))
    for kind, share in (("leave", 0.12), ("skip", 0.1), ("close", 0.2), ("drop", 0.2)):
        if draw.random() < share:
            who = draw.randrange(len(meetings))
            steps.append(Step(meetings[who].start + draw.uniform(-60, 900), kind, who))
    return [step for step in steps if step.at > 0]


class _Moments:
    """Draws when something goes wrong: mostly when it matters, around a start or an end."""

    def __init__(self, draw: random.Random, marks: list[float], until: float) -> None:
        self._draw = draw
        self._marks = marks
        self._until = until

    def of_a_timer(self) -> float:
        """Answer an instant just before one at which a stay begins or ends."""
        mark = self._draw.choice(self._marks)
        return max(1.0, mark - self._draw.choice((0.0, LEAD_S)) - self._draw.uniform(0.1, 2.0))

    def __call__(self) -> float:
        near = self._draw.choice(self._marks) + self._draw.uniform(-90, 90)
        anywhere = self._draw.uniform(1, self._until)
        return max(1.0, near if self._draw.random() < 0.6 else anywhere)


def _faults(draw: random.Random, marks: list[float], until: float) -> list[Step]:
    moment = _Moments(draw, marks, until)
    return [
        *_google_faults(draw, moment),
        *_engine_faults(draw, moment),
        *_deaths(draw, moment),
        *_host_faults(draw, moment),
    ]


def _google_faults(draw: random.Random, moment: _Moments) -> Iterator[Step]:
    for _ in range(draw.choice((0, 0, 0, 1, 1, 2))):
        at, lasts = moment(), draw.choice((1, 3, 10, 25)) * MINUTE
        yield Step(at, "storm", what=draw.choice(_GOOGLE_STORMS), amount=lasts)
        yield Step(at + lasts, "storm over")
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        what = draw.choice(_HICCUPS)
        yield Step(moment(), "hiccup", what=what)


def _engine_faults(draw: random.Random, moment: _Moments) -> Iterator[Step]:
    for _ in range(draw.choice((0, 0, 1, 1, 2, 4))):
        call, kind = draw.choice(_ENGINE_FAULTS)
        most = {"post": 2, "delete": 6, "look": 4, "balance": 3}[call]
        # Several 404 in a row are the truth: the session is gone.
        times = 1 if kind in {"lost", "500 after", "402", "404"} else draw.randint(1, most)
        yield Step(moment(), "engine", what=f"{call}/{kind}", amount=times)
    if draw.random() < 0.1:
        at = moment()
        yield Step(at, "never ready")
        yield Step(at + draw.uniform(30, 180), "ready again")


def _deaths(draw: random.Random, moment: _Moments) -> Iterator[Step]:
    for _ in range(draw.choice((0, 0, 0, 1, 1, 2, 4))):
        away = draw.choice((5, 5, 5, 5, 40, 150, 900))
        what = f"{draw.choice(_DEATHS)}:{draw.choice((1, 1, 2, 3, 5))}"
        yield Step(moment(), "die", what=what, amount=away)
    if draw.random() < 0.15:
        yield Step(moment(), "restart", amount=draw.choice((1, 5, 60)))


def _host_faults(draw: random.Random, moment: _Moments) -> Iterator[Step]:
    if draw.random() < 0.2:
        at, skew = moment(), draw.choice((3600, -3600, 300, -300, 40, -40))
        yield Step(at, "clock wrong", amount=skew)
        yield Step(at + draw.uniform(60, 900), "clock right")
    for kind, share, most in (("suspend", 0.25, 1200.0), ("block", 0.3, 40.0)):
        if draw.random() < share:
            # As likely as not it is over an instant at which a timer was to fire.
            at = moment() if draw.random() < 0.5 else moment.of_a_timer()
            yield Step(at, kind, amount=draw.uniform(2, most))
    if draw.random() < 0.2:
        at = moment()
        yield Step(at, "disk full")
        yield Step(at + draw.uniform(10, 600), "disk free")
