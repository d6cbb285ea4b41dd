"""What can be looked up and done: what a stranger's arguments may become, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from locum.actions.calendar import Diary
from locum.actions.lookups import Lookup, Searched, schema
from locum.actions.programs import Parameter, Program
from locum.actions.seccomp import tool_filter
from locum.actions.toolbox import Box
from locum.config.example import example_text
from locum.config.load import load, load_taken
from locum.core.briefing import Piece
from locum.core.compartments import INTERNAL, NOBODY
from locum.core.model import Answer, CalendarEvent, EventKind, EventStatus, TimeWindow
from locum.core.remembered import Compartment
from locum.errors import ConfigError, PermanentError, TransientError
from locum.ports import Tool
from tests.unit.builders import TEN, at, event
from tests.unit.drawn import thorough

ACME = Compartment("acme.com")

LOG = Program(
    "log",
    ("git", "log", "--author={who}", "{branch}", "-n{count}", "--"),
    (
        Parameter("who", pattern="[^;]*"),
        Parameter("branch", pattern="[a-z/]+", default="main"),
        Parameter("count", integer=True, default="5"),
    ),
)


# ── arguments ────────────────────────────────────────────────────────────────────────────


def test_places_are_filled_in() -> None:
    """Whole arguments and parts of one; what isn't given is the owner's default."""
    assert LOG.filled({"who": "Mira Z", "count": 3}) == (
        "git",
        "log",
        "--author=Mira Z",
        "main",
        "-n3",
        "--",
    )


@thorough
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_value_becomes_an_option_or_an_argument_more(first: str, second: str) -> None:
    """Whatever is given, it is refused, or stands in its one place as it is."""
    program = Program("x", ("run", "{a}", "--to={b}"), (Parameter("a"), Parameter("b")))
    try:
        filled = program.filled({"a": first, "b": second})
    except PermanentError:
        return
    assert filled == ("run", first, f"--to={second}")
    assert not first.startswith("-")
    assert not set(first + second) & set("\0\n\r\x1b\u202e")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "who: is missing"),
        ({"who": "x", "evil": "y"}, "no parameter 'evil'"),
        ({"who": "--exec=sh"}, 'must not begin with "-"'),
        ({"who": "a;b"}, "must fit the pattern"),
        ({"who": "a\nb"}, "in one line"),
        ({"who": "x" * 201}, "longer than 200"),
        ({"who": ["x"]}, "must be text"),
        ({"who": "x", "count": "1; rm"}, "must be an integer"),
        ({"who": "x", "count": True}, "must be an integer"),
        ({"who": "x", "count": -1}, 'must not begin with "-"'),
        ({"who": "x", "branch": "{who}"}, "must fit the pattern"),
    ],
)
def test_what_isnt_allowed_is_refused_with_the_reason(
    arguments: dict[str, Any], why: str
) -> None:
    """The model reads why, and what would do."""
    with pytest.raises(PermanentError, match=".*".join(map(_literal, why.split()))):
        LOG.filled(arguments)


def _literal(word: str) -> str:
    return "".join(f"[{char}]" if char.isalnum() else f"\\{char}" for char in word)


def test_a_value_is_never_filled_in_again() -> None:
    """A value that looks like a place stays what it is."""
    program = Program("x", ("run", "{a}", "{b}"), (Parameter("a"), Parameter("b")))

    assert program.filled({"a": "{b}", "b": "secret"}) == ("run", "{b}", "secret")


def test_the_filter_is_known_for_both_machines() -> None:
    """Elsewhere there is none; each is whole instructions of eight bytes."""
    sizes = [len(tool_filter(each) or b"") for each in ("x86_64", "aarch64")]

    assert all(size > 400 and size % 8 == 0 for size in sizes)
    assert tool_filter("sparc") is None


# ── the box ──────────────────────────────────────────────────────────────────────────────


def acting(name: str = "act", *, looks: bool = False, answer: str = "done") -> Lookup:
    async def answered(_arguments: Mapping[str, Any]) -> str:
        await asyncio.sleep(60 if answer == "slow" else 0)
        return answer

    return Lookup(
        Tool(name, "x", schema(a="x?"), only_looks=looks), answered, timedelta(milliseconds=50)
    )


def test_nothing_is_done_for_a_guess() -> None:
    """While a turn may not be over, only what looks is done."""

    async def tried() -> str:
        box = Box([acting(), acting("look", looks=True)])
        with pytest.raises(TransientError, match="not before the question is whole"):
            await box.call("act", {}, guessed=True)
        return (await box.call("look", {}, guessed=True)).text

    assert asyncio.run(tried()) == "done"


def test_answers_are_bounded_and_without_secrets() -> None:
    """What is too long is cut, and says so; what looks like a key is left out; slow ones end."""

    async def tried() -> None:
        long = Box([acting(answer="ä" * 9000)])
        done = await long.call("act", {})
        assert done.is_cut
        assert len(done.text.encode()) <= 8192
        leaking = Box([acting(answer="plan: gold\npassword: hunter22\nok")])
        assert (await leaking.call("act", {})).text == "plan: gold\nok"
        with pytest.raises(TransientError, match="too long"):
            await Box([acting(answer="slow")]).call("act", {})
        with pytest.raises(PermanentError, match=r"no tool 'other'.*Known: act"):
            await long.call("other", {})
        with pytest.raises(PermanentError, match="too large"):
            await long.call("act", {"a": "x" * 20_000})

    asyncio.run(tried())


def test_nothing_that_was_said_is_logged() -> None:
    """A refusal quotes what it refuses: to the model, and not to the log."""

    async def refused(arguments: Mapping[str, Any]) -> str:
        raise PermanentError(f"day: can't be told from {arguments['a']!r}.")

    async def tried() -> None:
        with pytest.raises(PermanentError, match="canary"):
            await Box([replace(acting(), answer=refused)]).call("act", {"a": "canary"})

    with structlog.testing.capture_logs() as logged:
        asyncio.run(tried())
    assert [each["event"] for each in logged] == ["tool_failed"]
    assert "canary" not in str(logged)


def test_what_needs_an_approval_isnt_done_without_anybody_to_ask() -> None:
    """Where the owner can't be asked, the answer is no."""
    asks = acting()
    asks = replace(asks, tool=replace(asks.tool, asks_owner=True))

    with pytest.raises(PermanentError, match="can't be asked for"):
        asyncio.run(Box([asks]).call("act", {}))


# ── the calendar ─────────────────────────────────────────────────────────────────────────

BERLIN = timezone(timedelta(hours=1), "CET")


class _Now:
    def now(self) -> Any:
        return at(-120)

    async def sleep(self, duration: timedelta) -> None: ...

    def host_duration(self, duration: timedelta) -> timedelta:
        return duration


def diary(*events: CalendarEvent, **changes: Any) -> Diary:
    async def read(_window: TimeWindow) -> Sequence[CalendarEvent]:
        return events

    made = Diary("Alex", read, _Now(), BERLIN, INTERNAL)
    return replace(made, **changes)


def ask(made: Diary, **arguments: Any) -> str:
    return asyncio.run(made.answer(arguments))


MEETING = event(title="Secret merger")  # At ten, UTC: eleven in Berlin, half an hour.


def test_free_and_busy_are_told_in_the_owners_zone() -> None:
    """Asked for a day and a time, it says so, with what is free besides, and no title."""
    made = diary(MEETING)

    assert "11:00 to 11:30: Alex is busy." in ask(made, day="today", time="11am")
    assert "15:00 to 16:00: Alex is free." in ask(made, day="today", time="3pm", minutes="60")
    whole = ask(made, day=f"{TEN:%Y-%m-%d}", time="3")
    assert "15:00 to 15:30: Alex is free." in whole
    assert "Busy: 11:00-11:30." in whole
    assert "times in CET" in whole
    assert "09:00-11:00, 11:30-18:00" in whole
    assert "merger" not in whole


@pytest.mark.parametrize(
    "changes",
    [
        {"status": EventStatus.CANCELLED},
        {"answer": Answer.DECLINED},
        {"free": True},
        {"all_day": True},
        {"kind": EventKind.WORKING_LOCATION},
    ],
)
def test_what_takes_no_time_makes_nobody_busy(changes: dict[str, Any]) -> None:
    """Cancelled, declined, marked as free, a birthday: the day is empty."""
    assert "Nothing is in the calendar" in ask(diary(event(**changes)), day="today")


def test_titles_are_told_to_those_alone_who_may_know() -> None:
    """Where the owner lets it, and nobody else's; where nobody can say who listens, nothing."""
    told = diary(MEETING, title_of=lambda each: each.title)

    assert "Busy: 11:00-11:30 (Secret merger)." in ask(told, day="today")
    with pytest.raises(PermanentError, match="isn't known who is present"):
        ask(replace(told, audience=NOBODY), day="today")


@pytest.mark.parametrize(
    "arguments",
    [
        {"day": "some day"},
        {"day": "2026-02-31"},
        {"day": "1999-01-01"},
        {"day": 5},
        {"day": "today", "time": "late"},
        {"day": "today", "time": "25:00"},
        {"day": "today", "time": "10:00", "minutes": "many"},
    ],
)
def test_what_names_no_day_or_time_is_asked_for_again(arguments: dict[str, Any]) -> None:
    """Nothing is guessed: a wrong day is worse than a question."""
    with pytest.raises(PermanentError):
        ask(diary(MEETING), **arguments)


# ── searching ────────────────────────────────────────────────────────────────────────────

PIECES = (
    Piece("w", "plan.md", "The export ships in May.\n\nThe import is done.", ACME),
    Piece("w", "pay.md", "Export team salaries: CANARY", INTERNAL),
    Piece("w", "nova.md", "Nova's export: CANARY", Compartment("nova.io")),
)


def test_a_search_knows_nothing_that_isnt_for_this_audience() -> None:
    """Neither its text nor its name, whatever is asked; and the best part comes first."""
    searched = Searched(lambda: PIECES, ACME)

    assert searched.answer({"query": "export"}) == "plan.md:\nThe export ships in May."
    for query in ("CANARY", "salaries", "", "everything that you know"):
        answered = searched.answer({"query": query})
        assert "CANARY" not in answered
        assert "pay.md" not in answered
        assert "nova.md" not in answered


# ── the config ───────────────────────────────────────────────────────────────────────────


def problems_of(text: str, tmp_path: Any) -> tuple[str, ...]:
    path = tmp_path / "locum.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.problems


def test_the_examples_tools_can_be_used_as_they_stand(tmp_path: Any) -> None:
    """Uncommented, each is what its table says, and shows its defaults."""
    lines = [
        line.removeprefix("# ") if "# [tools" in line or "# [mcp" in line else ""
        for line in example_text().splitlines()
    ]
    config = load_taken(tmp_path / "locum.toml", "\n".join(lines).encode())

    [tool], [server] = config.tools, config.mcp
    assert tool.parameters["branch"].default == "main"
    assert not tool.effect
    shown = [line.partition(" = ")[0] for line in lines if "[tools, default]" in line]
    assert shown == ["writes", "network", "timeout"]
    fields = type(tool).model_fields
    assert all(getattr(tool, name) == fields[name].default for name in shown)
    assert server.looks == ("find_account",)


TOOL = '[[tools]]\nname = "build"\nabout = "x"\nargv = ["ci", "{branch}"]\n'
NAMED = "[tools.parameters.branch]\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TOOL, "{branch} has no [tools.parameters.branch]"),
        (TOOL + NAMED + "[tools.parameters.other]\n", "stands nowhere in argv"),
        (TOOL.replace('"ci"', '"{branch}"') + NAMED, "is never filled in"),
        (TOOL + NAMED + 'pattern = "("\n', "is no pattern"),
        (TOOL.replace("build", "calendar") + NAMED, "is locum's own"),
        ((TOOL + NAMED) * 2, "is taken by number 1"),
        ('[[mcp]]\nname = "crm"\n', "either argv or url"),
        ('[personas.a]\ntools = ["calender"]\n', 'Did you mean "calendar"?'),
    ],
)
def test_what_nobody_could_call_is_told(text: str, problem: str, tmp_path: Any) -> None:
    """Each with its line, before anybody is in a meeting."""
    assert any(problem in each for each in problems_of(text, tmp_path))


def test_nothing_is_there_by_itself(tmp_path: Any) -> None:
    """A config that says nothing of tools gives none."""
    config = load_taken(tmp_path / "locum.toml", b"[personas.a]\n")

    assert config.personas["a"].tools == ()
    assert config.tools == ()
