"""`locum memory approve`, `settle` and `forget`: what the owner says of what is remembered.

It is the daemon's to do, or this command's while none runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
from locum.cli.recalling import (
    counted,
    faces_of,
    line_by_id,
    lines_as_json,
    reading_memory,
    series_called,
)
from locum.cli.terminal import one_line, out, out_json, say
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.memory import Forgotten, Memory

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


def add_to(group: typer.Typer) -> None:
    group.command(epilog=_APPROVE)(approve)
    group.command(epilog=_SETTLE)(settle)
    group.command(epilog=_FORGET)(forget)


def approve(
    *,
    line: Annotated[str, typer.Argument(metavar="ID", help="A line's id, or how it begins.")],
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Confirm that a line is right; it is marked so wherever it is told."""
    place = whereabouts(config)
    with reading_memory(place) as memory:
        found = line_by_id(memory, line)
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
    """Say that a promise is done, dropped or open, whatever meetings say.

    Summaries, briefings and the stand-in go by that from now on; an open one can be settled by
    a later meeting. `locum memory show` lists what is open, with ids.
    """
    if dropped + reopened + undo > 1:
        raise typer.BadParameter("give one of --dropped, --open, --undo; without, it is done")
    place = whereabouts(config)
    with reading_memory(place) as memory:
        found = line_by_id(memory, line)
    if found.kind.value != "commitment":
        raise PermanentError(
            f'"{one_line(found.text)}" is no promise, and so is never done. '
            "`locum memory show` lists the promises that are open."
        )
    standing = "dropped" if dropped else "open" if reopened else None if undo else "done"
    _have_done(place, "memory-settle", {"line": found.id, "standing": standing})
    with reading_memory(place) as memory:
        now = line_by_id(memory, found.id)
    if json:
        [told] = lines_as_json([now])
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
    with reading_memory(place) as memory:
        args, what = _to_forget(memory, line, meeting, series, person)
    if not yes and not _confirmed(what):
        say("Nothing was forgotten.")
        raise typer.Exit(FAILED)
    done = _have_done(place, "memory-forget", args)
    if json:
        out_json(dict(done))
    else:
        out(f"Forgot {counted(int(done['lines']), 'line')}: {what}.")


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
        found = line_by_id(memory, line)
        return {"line": found.id}, f'the line "{one_line(found.text)}"'
    if meeting is not None:
        # One of which nothing is known yet may be forgotten ahead.
        known = memory.of_meeting(_meeting_key(meeting))
        title = one_line(known[0].title) if known else meeting
        return {"meeting": meeting}, f"{counted(len(known), 'line')} of {title}"
    if series is not None:
        key = series_called(memory, series)
        return {"series": key}, f'all of the series "{one_line(series)}"'
    faces = faces_of(memory, person or "")
    shown = "; ".join(" ".join(each for each in face if each) for face in faces)
    return {"person": [list(face) for face in faces]}, f"what {one_line(shown)} said or owns"


def _meeting_key(text: str) -> Any:
    from locum.core.model import MeetingKey

    return MeetingKey(text)


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
