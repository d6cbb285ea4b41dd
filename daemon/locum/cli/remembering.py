"""`locum memory` and `locum ask`: what earlier meetings left, and questions about it.

Everything is shown to the owner alone, and read from the file itself, so that no daemon is
needed. What changes memory is the daemon's to do, or this command's while none runs.
"""

from __future__ import annotations

import contextlib
import json as json_format
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    read_config,
    whereabouts,
)
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
    from locum.memory import Face, Forgotten, Hit, Memory
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
_APPROVE = epilog(
    "locum memory approve 3f2a9c04b1d7",
    "locum memory approve 3f2a --undo",
    exits="0, 1 no line, or more than one, has that id",
)
_SETTLE = epilog(
    "locum memory settle 3f2a9c04b1d7               it is done",
    "locum memory settle 3f2a --dropped             it won't be done; nobody is told of it",
    "locum memory settle 3f2a --open                it isn't done, whatever was said",
    "locum memory settle 3f2a --undo                go by what was said in meetings again",
    exits="0, 1 no promise, or more than one, has that id",
)
_FORGET = epilog(
    "locum memory forget 3f2a9c04b1d7",
    'locum memory forget --series "weekly sync" --yes',
    "locum memory forget --person dana@acme.example",
    exits="0, 1 nothing, or more than one thing, goes by that name, or it wasn't confirmed",
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
        help="Show, search, confirm, settle and forget what earlier meetings left.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_SHOW)(show)
    group.command(epilog=_SEARCH)(search)
    group.command(epilog=_APPROVE)(approve)
    group.command(epilog=_SETTLE)(settle)
    group.command(epilog=_FORGET)(forget)
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
    with _reading(place) as memory:
        if what is None and person is None:
            _show_all(memory, limit, json=json)
            return
        if person is not None:
            lines = memory.of_person(person, limit=limit)
            lines = tuple(line for line in lines if what is None or _goes_by(line, what))
        else:
            lines = memory.of_series(_one_series(memory, what or ""), limit=limit)
        if not lines:
            raise PermanentError(f'Nothing is known of "{person or what}".')
        if json:
            out_json(_as_json(lines))
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
        out_json({"open": _as_json(promises), "series": known})
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
                _counted(each.meetings, "meeting"),
                _counted(each.lines, "line"),
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
    return f"{'late: ' if line.due < _today() else 'by '}{line.due:%a %d %b %Y}"


def _today() -> date:
    return datetime.now().astimezone().date()


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
    if state == "open" and line.due is not None and line.due < _today():
        state = "late"
    owner = one_line(line.owner or "nobody's")
    by_whom = "by your word" if line.by_hand else ""
    due = _due(line) if state == "open" else ""
    return [each for each in (state, by_whom, owner, due) if each]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _as_json(lines: Sequence[Remembered]) -> list[dict[str, Any]]:
    from locum.app.remembering import line_json

    today = _today()
    return [line_json(line, today) for line in lines]


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
    with _reading(whereabouts(config)) as memory:
        hits = memory.ranked(
            " ".join(words), compartment=_compartment(compartment), limit=limit
        )
        if json:
            told = _as_json([hit.line for hit in hits])
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
    with _reading(place) as memory, working("Looking for an answer"):
        found, hits, trouble = asyncio.run(
            _answer(memory, place, asked, _compartment(compartment), limit)
        )
    if trouble:
        say(f"The language model gave no answer: {trouble}")
    if json:
        told = _as_json([hit.line for hit in hits])
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

    today = _today()
    with _reading(whereabouts(config)) as memory, working("Reading memory"):
        for line in memory.every():
            sys.stdout.write(json_format.dumps(line_json(line, today)) + "\n")


# ── changing ─────────────────────────────────────────────────────────────────────────────


def approve(
    *,
    line: Annotated[str, typer.Argument(metavar="ID", help="A line's id, or how it begins.")],
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Confirm that a line is right; it is marked so wherever it is told."""
    place = whereabouts(config)
    with _reading(place) as memory:
        found = _one_line_by_id(memory, line)
    _have_done(place, "memory-approve", {"line": found.id, "approved": not undo})
    if json:
        out_json({"id": found.id, "approved": not undo})
    else:
        out(f"{'Not approved any more' if undo else 'Approved'}: {one_line(found.text)}")


def settle(
    *,
    line: Annotated[
        str, typer.Argument(metavar="ID", help="A promise's id, or how it begins.")
    ],
    dropped: Annotated[bool, typer.Option("--dropped", help="It won't be done.")] = False,
    reopened: Annotated[
        bool, typer.Option("--open", help="It is still, or again, to be done.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back what you said of it.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say that a promise is done, dropped, or open, whatever was said of it in meetings.

    Summaries, briefings and the stand-in go by that from now on; an open one can be settled by
    a later meeting. `locum memory show` lists what is open, with ids.
    """
    if dropped + reopened + undo > 1:
        raise typer.BadParameter("give one of --dropped, --open, --undo; without, it is done")
    place = whereabouts(config)
    with _reading(place) as memory:
        found = _one_line_by_id(memory, line)
    if found.kind.value != "commitment":
        raise PermanentError(
            f'"{one_line(found.text)}" is no promise, and so is never done. '
            "`locum memory show` lists the promises that are open."
        )
    standing = "dropped" if dropped else "open" if reopened else None if undo else "done"
    _have_done(place, "memory-settle", {"line": found.id, "standing": standing})
    with _reading(place) as memory:
        now = _one_line_by_id(memory, found.id)
    if json:
        [told] = _as_json([now])
        out_json(told)
    else:
        by = "By what was said in meetings: " if undo else ""
        state = now.standing.value
        out(f"{by}{state if by else state.capitalize()}: {one_line(now.text)}")


def forget(
    *,
    line: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A line's id, or how it begins.")
    ] = None,
    meeting: Annotated[
        str | None, typer.Option(metavar="KEY", help="All of one meeting, for ever.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="WHAT", help="All meetings of a series until now.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="What somebody said, owns or is named in until now: address or name.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete lines for good: a memory made anew stays without them.

    Summaries that were filed keep what they say, and so does the ledger: delete those where
    they are.
    """
    given = [each for each in (line, meeting, series, person) if each is not None]
    if len(given) != 1:
        raise typer.BadParameter("name one of: an ID, --meeting, --series, --person")
    place = whereabouts(config)
    with _reading(place) as memory:
        args, what = _to_forget(memory, line, meeting, series, person)
    if not yes and not _confirmed(what):
        say("Nothing was forgotten.")
        raise typer.Exit(FAILED)
    done = _have_done(place, "memory-forget", args)
    if json:
        out_json(dict(done))
    else:
        out(f"Forgot {_counted(int(done['lines']), 'line')}: {what}.")


def _confirmed(what: str) -> bool:
    if not sys.stdin.isatty():
        say("Nobody is here to be asked; say it with --yes.")
        return False
    return typer.confirm(f"Forget {what}?", err=True)


def _to_forget(
    memory: Memory,
    line: str | None,
    meeting: str | None,
    series: str | None,
    person: str | None,
) -> tuple[dict[str, Any], str]:
    """Answer what the daemon is to be asked, and the same in words.

    Raises:
        PermanentError: Nothing, or more than one thing, goes by that name.
    """
    if line is not None:
        found = _one_line_by_id(memory, line)
        return {"line": found.id}, f'the line "{one_line(found.text)}"'
    if meeting is not None:
        # One of which nothing is known yet may be forgotten ahead.
        known = memory.of_meeting(_meeting_key(meeting))
        title = one_line(known[0].title) if known else meeting
        return {"meeting": meeting}, f"{_counted(len(known), 'line')} of {title}"
    if series is not None:
        key = _one_series(memory, series)
        return {"series": key}, f'all of the series "{one_line(series)}"'
    faces = _one_person(memory, person or "")
    shown = "; ".join(" ".join(each for each in face if each) for face in faces)
    return {"person": [list(face) for face in faces]}, f"what {one_line(shown)} said or owns"


def _meeting_key(text: str) -> Any:
    from locum.core.model import MeetingKey

    return MeetingKey(text)


def _one_line_by_id(memory: Memory, text: str) -> Remembered:
    found = memory.line(text.strip()) if text.strip() else ()
    if len(found) == 1:
        return found[0]
    if not found:
        raise PermanentError(f'No line has the id "{text}". `locum memory show` tells the ids.')
    ids = ", ".join(each.id for each in found[:5])
    raise PermanentError(f"{len(found)} lines or more fit; write more of the id: {ids}")


def _one_series(memory: Memory, text: str) -> Any:
    known = memory.series()
    wanted = text.casefold()
    found = [each for each in known if each.key == text] or [
        each for each in known if wanted in each.title.casefold()
    ]
    if len(found) == 1:
        return found[0].key
    if not found:
        raise PermanentError(
            f'No series that is remembered is called "{text}". `locum memory show` lists them.'
        )
    names = "; ".join(f'"{one_line(each.title)}": {each.key}' for each in found[:5])
    raise PermanentError(f"{len(found)} series fit; name one by its key: {names}")


def _one_person(memory: Memory, text: str) -> list[Face]:
    """Answer all faces of one person: those that share a name or an address.

    Raises:
        PermanentError: Nobody, or more than one, goes by that name.
    """
    found = memory.faces(text)
    if not found:
        raise PermanentError(f'Memory knows nobody called "{text}".')
    people = _grouped(found)
    if len(people) == 1:
        return people[0]
    names = "; ".join(" ".join(each for each in person[0] if each) for person in people[:5])
    raise PermanentError(
        f"{len(people)} people fit; name one in full, or by address: {one_line(names)}"
    )


def _grouped(faces: Sequence[Face]) -> list[list[Face]]:
    groups: list[list[Face]] = []
    for face in faces:
        keys = {key for key in face if key}
        joined = [g for g in groups if keys & {key for each in g for key in each if key}]
        merged = [each for group in joined for each in group] + [face]
        groups = [g for g in groups if g not in joined] + [merged]
    return groups


# ── the file and the daemon ──────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _reading(place: Whereabouts) -> Iterator[Memory]:
    """Open memory to read it.

    Raises:
        PermanentError: There is none yet.
        LocumError: It can't be read.
    """
    from locum.app.remembering import read_memory

    memory = read_memory(place.state)
    if memory is None:
        raise PermanentError(
            f"Nothing is remembered yet: there is no memory in {place.state}. "
            "It begins with the first meeting that is written up."
        )
    try:
        yield memory
    finally:
        memory.close()


def _have_done(place: Whereabouts, command: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have the daemon change memory; where none runs, do it here, under its lock."""
    from locum.control import DaemonNotRunningError

    try:
        return place.call(command, args)
    except DaemonNotRunningError:
        return _do_here(place, command, args)


def _do_here(place: Whereabouts, command: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    from locum.app.parts import clock_of
    from locum.app.remembering import Remembering, memory_of
    from locum.core.remembered import LineId
    from locum.ledger import StateLock

    loaded = read_config(place.config)
    lock = StateLock(place.state)
    try:
        config = loaded.config
        remembering = Remembering(place.state, None, clock_of(config), memory_of(config))
        try:
            if remembering.problem is not None:
                raise remembering.problem
            if command == "memory-approve":
                line, approved = LineId(args["line"]), bool(args["approved"])
                remembering.approve(line, approved=approved)
                return {}
            if command == "memory-settle":
                remembering.settle(args)
                return {}
            done: Forgotten = remembering.forget(args)
            return {"lines": done.lines, "sentences": done.sentences}
        finally:
            remembering.close()
    finally:
        lock.release()
