"""`locum brief` and `locum skills`: what the stand-in would know in a meeting, and may know.

Everything that stands in a briefing could be said in that meeting; what isn't for its audience
is named with the reason, and is told to nobody there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import ConfigOption, JsonOption, read_config, reading_ledger, state_of
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
    from locum.app.briefing import Desk
    from locum.briefing import Skill
    from locum.core.briefing import Briefing
    from locum.core.model import Meeting
    from locum.ledger import Ledger

_BRIEF = epilog(
    'locum brief "weekly sync"',
    'locum brief "weekly sync" --json | jq -r .text',
    exits="0, 1 no event, or more than one, is called that, 78 the config can't be used",
)
_LIST = epilog(
    "locum skills list",
    "locum skills list --json | jq '.[] | select(.state != \"approved\")'",
    exits="0, 1 a folder of skills can't be read",
)
_APPROVE = epilog(
    "locum skills approve standup-notes",
    "locum skills approve standup-notes --undo",
    exits="0, 1 there is no such skill",
)

_skills = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_BRIEF, short_help="Show what the stand-in would know in a meeting.")(
        brief
    )
    _skills.command("list", epilog=_LIST)(list_skills)
    _skills.command("approve", epilog=_APPROVE)(approve)
    app.add_typer(
        _skills,
        name="skills",
        help="Which skills (SKILL.md folders) the stand-in may have.",
        short_help="List and approve skills.",
    )


# ── brief ────────────────────────────────────────────────────────────────────────────────


def brief(
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="A part of its title, or its key.")
    ],
    *,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what the stand-in would be told for an event, and so could reveal there.

    From earlier meetings, workspaces, contacts and skills. What isn't for everybody who is
    invited is left out, and named with the reason.
    """
    from locum.app.briefing import desk_of

    loaded = read_config(config)
    state = state_of(loaded.config)
    with reading_ledger(state) as ledger:
        if ledger is None:
            raise PermanentError(
                "No calendar has been read yet: start the daemon (`locum run`)."
            )
        meeting = _find(event, ledger)
    with desk_of(loaded.config, state) as desk, working("Reading what there is to know"):
        briefing = desk.compile(meeting, desk.outside(meeting))
    if json:
        out_json(_as_json(meeting, briefing))
    else:
        _show(meeting, briefing)


def _find(text: str, ledger: Ledger) -> Meeting:
    """Find the event that is meant: the next of that name, else the last.

    Raises:
        PermanentError: None is called that.
    """
    from datetime import datetime, timezone

    from locum.app.briefing import meeting_for_brief

    events = [
        each
        for each in ledger.calendars.events()
        if text in {each.occurrence, each.meeting} or text.lower() in each.title.lower()
    ]
    if not events:
        raise PermanentError(
            f'No event that a calendar shows is called "{text}". See `locum plan` for names.'
        )
    now = datetime.now(timezone.utc)
    ahead = sorted((e for e in events if e.start >= now), key=lambda e: e.start)
    chosen = ahead[0] if ahead else max(events, key=lambda e: e.start)
    return meeting_for_brief(chosen)


def _as_json(meeting: Meeting, briefing: Briefing) -> dict[str, Any]:
    return {
        "title": meeting.title,
        "start": meeting.start.isoformat(),
        "occurrence": meeting.occurrence,
        "audience": briefing.audience,
        "tokens": briefing.tokens,
        "told": [
            {"origin": piece.origin, "about": piece.title, "known": piece.text}
            for piece in briefing.told
        ],
        "withheld": [
            {"origin": each.origin, "about": each.title, "why": each.why}
            for each in briefing.withheld
        ],
        "text": briefing.text,
    }


def _show(meeting: Meeting, briefing: Briefing) -> None:
    audience = briefing.audience or "somebody who isn't known: nothing is told"
    out(f"{one_line(meeting.title)}, {day_and_time(meeting.start)}. Audience: {audience}")
    heading(f"Could be said there (some {briefing.tokens} tokens)")
    if not briefing.told:
        out("  nothing beside the invitation and the persona's instructions")
    for piece in briefing.told:
        out(f"  {one_line(piece.title)}  [{one_line(piece.origin)}]")
        for line in piece.text.splitlines()[:12]:
            out(f"      {one_line(line)}")
        if len(piece.text.splitlines()) > 12:
            out("      …")
    if briefing.withheld:
        heading("Left out")
        table([[one_line(each.origin), each.why] for each in briefing.withheld], indent=2)


# ── skills ───────────────────────────────────────────────────────────────────────────────


def list_skills(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the skills of the config's folders, and which of them count."""
    from locum.app.briefing import desk_of
    from locum.briefing import read_skills

    loaded = read_config(config)
    rows: list[dict[str, Any]] = []
    with desk_of(loaded.config, state_of(loaded.config)) as desk:
        approved = desk.skills.approved()
        for folder in loaded.config.skills.folders:
            good, bad = read_skills(folder)
            rows += [_row(skill, approved.get(skill.name)) for skill in good]
            rows += [
                {"name": each.folder.name, "state": "unusable", "problem": each.problem}
                for each in bad
            ]
    if json:
        out_json(rows)
        return
    if not rows:
        say("There are no skills: name their folders in [skills] of the config.")
    table([[row["name"], row["state"], one_line(_about(row))] for row in rows])


def _about(row: dict[str, Any]) -> str:
    return str(row.get("problem") or row.get("description", ""))[:100]


def _row(skill: Skill, approved: str | None) -> dict[str, Any]:
    state = "waits for approval"
    if approved is not None:
        state = "approved" if approved == skill.digest else "changed since it was approved"
    return {
        "name": skill.name,
        "state": state,
        "description": skill.description,
        "folder": str(skill.folder),
        "digest": skill.digest,
        "remarks": list(skill.remarks),
    }


def approve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The skill's name.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take the approval back.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let the stand-in have a skill, as it is now. Read it first: a changed one waits again."""
    from locum.app.briefing import desk_of

    loaded = read_config(config)
    with desk_of(loaded.config, state_of(loaded.config)) as desk:
        if undo:
            if not desk.skills.withdraw(name):
                say(f'The skill "{name}" was not approved.')
                raise typer.Exit(FAILED)
            out(f'The skill "{name}" counts no longer.')
            return
        found = _only(name, desk)
        desk.skills.approve(found)
    out(f'The skill "{name}" counts, as it is now (sha256 {found.digest[:12]}…).')


def _only(name: str, desk: Desk) -> Skill:
    found = [skill for skill in desk.all_skills() if skill.name == name]
    if not found:
        raise PermanentError(f'There is no usable skill "{name}": see `locum skills list`.')
    return found[0]
