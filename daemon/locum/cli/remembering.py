"""`locum memory` and `locum ask`: what earlier meetings left, and questions about it.

Everything is shown to the owner alone, and read from the file itself, so that no daemon is
needed. What changes memory is in `amending`.
"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli import amending
from locum.cli.ending import FAILED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    read_config,
    whereabouts,
)
from locum.cli.recalling import counted, lines_as_json, reading_memory, series_called, today
from locum.cli.terminal import (
    day_and_time,
    heading,
    one_line,
    out,
    out_json,
    say,
    table,
    working,
)
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.core.remembered import Compartment, Remembered
    from locum.memory import Hit, Memory
    from locum.ports import Answer

_SHOW = epilog(
    "locum memory show                      what is open, and which series are known",
    'locum memory show "weekly sync"',
    "locum memory show --person dana@acme.example --json",
    exits="0, 1 nothing is known of that, or memory can't be read",
)
_SEARCH = epilog(
    "locum memory search pricing page",
    "locum memory search --json billing | jq '.[].text'",
    "locum memory search --compartment acme.example roadmap",
    exits="0, 1 nothing was found, or memory can't be read",
)
_EXPORT = epilog(
    "locum memory export > memory.jsonl",
    "locum memory export | jq -r 'select(.kind == \"decision\") | .text'",
    exits="0, 1 memory can't be read",
)
_ASK = epilog(
    'locum ask "what did we decide about the pricing page?"',
    "locum ask --json \"who sends the contract?\" | jq '.found[].quotes[0].quote'",
    exits="0 something was found, 1 nothing is known of it, or memory can't be read",
)

_LimitOption = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="How many lines at most.")
]
_CompartmentOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only what may be told in a meeting of this compartment, such as a client's domain.",
    ),
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="memory",
        help="Show, search, settle and forget what earlier meetings left.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_SHOW)(show)
    group.command(epilog=_SEARCH)(search)
    amending.add_to(group)
    group.command(epilog=_EXPORT)(export)
    app.add_typer(group)
    app.command(epilog=_ASK, short_help="Ask what was said, decided or promised.")(ask)


# ── showing ──────────────────────────────────────────────────────────────────────────────


def show(
    *,
    what: Annotated[
        str | None, typer.Argument(metavar="[SERIES]", help="A title, or a series' key.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(metavar="WHO", help="Who said or owns it: address or name.")
    ] = None,
    limit: _LimitOption = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what is known of a series or a person, else what is open."""
    place = whereabouts(config)
    with reading_memory(place) as memory:
        if what is None and person is None:
            _show_all(memory, limit, json=json)
            return
        if person is not None:
            lines = memory.of_person(person, limit=limit)
            lines = tuple(line for line in lines if what is None or _goes_by(line, what))
        else:
            lines = memory.of_series(series_called(memory, what or ""), limit=limit)
        if not lines:
            raise PermanentError(f'Nothing is known of "{person or what}".')
        if json:
            out_json(lines_as_json(lines))
        else:
            _show_by_meeting(lines)


def _goes_by(line: Remembered, text: str) -> bool:
    return text == line.series or text.casefold() in line.title.casefold()


def _show_all(memory: Memory, limit: int, *, json: bool) -> None:
    promises, series = memory.commitments(limit=limit), memory.series()
    if json:
        known = [
            {
                "series": each.key,
                "title": each.title,
                "last": each.at.isoformat(),
                "meetings": each.meetings,
                "lines": each.lines,
            }
            for each in series
        ]
        out_json({"open": lines_as_json(promises), "series": known})
        return
    if not series:
        out("Nothing is remembered yet.")
        return
    heading("Still to be done" if promises else "Nothing is left to be done")
    table([_promise_row(line) for line in promises], indent=2)
    out()
    heading("Series")
    table(
        [
            (
                one_line(each.title) or "(no title)",
                counted(each.meetings, "meeting"),
                counted(each.lines, "line"),
                f"last {day_and_time(each.at)}",
            )
            for each in series[:limit]
        ],
        indent=2,
    )


def _promise_row(line: Remembered) -> tuple[str, ...]:
    return (
        line.id,
        line.owner or "(nobody)",
        line.text,
        _due(line),
        f"{line.title}, {day_and_time(line.at)}",
    )


def _due(line: Remembered) -> str:
    if line.due is None:
        return ""
    return f"{'late: ' if line.due < today() else 'by '}{line.due:%a %d %b %Y}"


def _show_by_meeting(lines: Sequence[Remembered]) -> None:
    meeting = None
    for line in lines:
        if line.meeting != meeting:
            if meeting is not None:
                out()
            meeting = line.meeting
            heading(f"{line.title or '(no title)'}, {day_and_time(line.at)}{_among(line)}")
        _show_line(line)


def _among(line: Remembered) -> str:
    return f" [{line.compartment or 'for you alone'}]"


def _show_line(line: Remembered) -> None:
    marks = [line.kind.value, *_standing(line)]
    if line.approved:
        marks.append("approved")
    out(f"  {line.id}  {', '.join(marks)}: {one_line(line.text)}")
    for quote in line.quotes:
        who = getattr(quote, "speaker", "")
        when = getattr(quote, "at", None)
        told = ", ".join(each for each in (one_line(who), day_and_time(when)) if each)
        out(f'      "{one_line(quote.quote)}"{f" ({told})" if told else ""}')


def _standing(line: Remembered) -> list[str]:
    if line.kind.value != "commitment":
        return []
    if line.same_as is not None:
        return [f"as {line.same_as}"]
    state = line.standing.value
    if state == "open" and line.due is not None and line.due < today():
        state = "late"
    owner = one_line(line.owner or "nobody's")
    by_whom = "by your word" if line.by_hand else ""
    due = _due(line) if state == "open" else ""
    return [each for each in (state, by_whom, owner, due) if each]


# ── searching and asking ─────────────────────────────────────────────────────────────────


def search(
    *,
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="What to look for.")],
    compartment: _CompartmentOption = None,
    limit: _LimitOption = 20,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find lines by their words, in whatever form; the best come first."""
    with reading_memory(whereabouts(config)) as memory:
        hits = memory.ranked(
            " ".join(words), compartment=_compartment(compartment), limit=limit
        )
        if json:
            told = lines_as_json([hit.line for hit in hits])
            out_json(
                [
                    {"rank": round(hit.rank, 4), **each}
                    for hit, each in zip(hits, told, strict=True)
                ]
            )
        for hit in () if json else hits:
            out(f"{one_line(hit.line.title)}, {day_and_time(hit.line.at)}{_among(hit.line)}")
            _show_line(hit.line)
    if not hits:
        say("Nothing was found.")
        raise typer.Exit(FAILED)


def _compartment(name: str | None) -> Compartment | None:
    from locum.core.remembered import Compartment

    return None if name is None else Compartment(name)


def ask(
    *,
    question: Annotated[list[str], typer.Argument(metavar="QUESTION", help="In your words.")],
    compartment: _CompartmentOption = None,
    limit: _LimitOption = 8,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask what was said, decided or promised; each answer says where it stands.

    What is found are lines of memory with their quotes. With a language model in the config,
    it answers from them, and cites them; it is given nothing else.
    """
    import asyncio

    asked = " ".join(question)
    place = whereabouts(config)
    with reading_memory(place) as memory, working("Looking for an answer"):
        found, hits, trouble = asyncio.run(
            _answer(memory, place, asked, _compartment(compartment), limit)
        )
    if trouble:
        say(f"The language model gave no answer: {trouble}")
    if json:
        told = lines_as_json([hit.line for hit in hits])
        out_json(
            {
                "question": asked,
                "answer": None if found is None else found.text,
                "cited": [] if found is None else list(found.cited),
                "found": [
                    {"rank": round(hit.rank, 4), **each}
                    for hit, each in zip(hits, told, strict=True)
                ],
            }
        )
    elif not hits:
        out("I don't know: no meeting that I remember spoke of that.")
    else:
        if found is not None:
            out(one_line(found.text))
            out()
        cited = None if found is None else set(found.cited)
        for hit in hits:
            if cited is None or hit.line.id in cited:
                out(f"{one_line(hit.line.title)}, {day_and_time(hit.line.at)}")
                _show_line(hit.line)
    if not hits:
        raise typer.Exit(FAILED)


async def _answer(
    memory: Memory, place: Whereabouts, asked: str, compartment: Compartment | None, limit: int
) -> tuple[Answer | None, Sequence[Hit], str]:
    import os

    from locum.app.parts import clock_of
    from locum.app.remembering import answer, model_of

    brain = None
    if place.unusable is None:
        config = read_config(place.config).config
        brain = model_of(config, os.environ, clock_of(config))
    try:
        return await answer(memory, asked, brain=brain, compartment=compartment, limit=limit)
    finally:
        if brain is not None:
            await brain.aclose()


def export(*, config: ConfigOption = None) -> None:
    """Print all that is known, a JSON object a line, the oldest first."""
    from locum.app.remembering import line_json

    on = today()
    with reading_memory(whereabouts(config)) as memory, working("Reading memory"):
        for line in memory.every():
            sys.stdout.write(json_format.dumps(line_json(line, on)) + "\n")
