"""Finds what is well-formed in a scenario, and makes no sense together."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator
from datetime import timedelta

from locum.core.model import Answer
from locum.rehearsal.scenario.tables import (
    EditKind,
    Scenario,
    ScenarioEdit,
    ScenarioEvent,
    ScenarioPerson,
)
from locum.rehearsal.scenario.talk import After, Expect, TalkLine

_RECORDING = re.compile(r"[a-z0-9-]{1,60}(/[a-z0-9-]{1,60})?\.(opus|wav)")


def contradictions(scenario: Scenario) -> Iterator[str]:
    """Find what is well-formed but makes no sense together."""
    events: dict[str, ScenarioEvent] = {}
    for number, event in enumerate(scenario.events, 1):
        if events.setdefault(event.id, event) is not event:
            yield f'events #{number}.id: "{event.id}" is taken by an earlier event'
        for problem in _event_contradictions(event):
            yield f"events #{number}.{problem}"
    for number, edit in enumerate(scenario.edits, 1):
        for problem in _edit_contradictions(edit, events, scenario.owner.email):
            yield f"edits #{number}.{problem}"
    for number, person in enumerate(scenario.people, 1):
        for problem in _person_contradictions(person):
            yield f"people #{number}.{problem}"
    for number, fault in enumerate(scenario.faults, 1):
        if fault.at < timedelta(0):
            yield f"faults #{number}.at: must not be before the beginning"
    yield from _talk_contradictions(scenario)


def _talk_contradictions(scenario: Scenario) -> Iterator[str]:
    talk = scenario.talk
    if talk is None:
        if scenario.filed:
            yield "filed: is judged after a talk; add [talk]"
        if scenario.earlier is not None:
            yield "earlier: comes before a talk; add [talk]"
        return
    if not any(event.meet == talk.room for event in scenario.events):
        yield f'talk.room: no event is in "{talk.room}"'
    if scenario.edits or scenario.kill_daemon_at:
        yield "talk: edits and kill_daemon_at have instants, a talk has none; remove them"
    if scenario.earlier is not None and not scenario.events[0].recurrence:
        yield "earlier: the first event has no recurrence"
    here = {person.name for person in scenario.people if person.room == talk.room}
    before: TalkLine | None = None
    for number, line in enumerate(talk.lines, 1):
        if line.who not in here:
            yield f'talk.lines #{number}.who: "{line.who}" isn\'t among the people there'
        for problem in (*_line_contradictions(line), *_order_contradictions(line, before)):
            yield f"talk.lines #{number}.{problem}"
        before = line


def _line_contradictions(line: TalkLine) -> Iterator[str]:
    if bool(line.says) is bool(line.writes):
        yield "says: give one of says and writes"
    if line.recording and not _RECORDING.fullmatch(line.recording):
        yield "recording: must be a name like standup/1.opus"
    if line.recording and line.writes:
        yield "recording: nobody hears what is written; remove it"


def _order_contradictions(line: TalkLine, before: TalkLine | None) -> Iterator[str]:
    if before is None and line.after is not After.ANSWER:
        yield "after: nothing comes before the first line; remove it"
    if line.after is After.VOICE and before and before.expect is not Expect.ANSWERS:
        yield "after: it cuts in on an answer; the line before expects none"
    if line.expect is Expect.STOPS and line.after is not After.VOICE:
        yield 'expect: only who speaks can stop; it needs after = "voice"'


_EDIT_KEYS = {
    EditKind.PATCH: ("title", "description", "location", "meet"),
    EditKind.CANCEL: (),
    EditKind.EXTEND: ("by",),
    EditKind.MOVE: ("to",),
    EditKind.DECLINE: ("attendee",),
}


def _event_contradictions(event: ScenarioEvent) -> Iterator[str]:
    if event.duration <= timedelta(0):
        yield "duration: must be above 0"
    if any(attendee.answer is Answer.UNLISTED for attendee in event.attendees):
        yield 'attendees: nobody answers "unlisted"; remove that attendee'


def _edit_contradictions(
    edit: ScenarioEdit, events: dict[str, ScenarioEvent], owner: str
) -> Iterator[str]:
    event = events.get(edit.event)
    if event is None:
        near = difflib.get_close_matches(edit.event, itertools.islice(events, 200), n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        yield f'event: there is no event "{edit.event}".{hint}'
        return
    if edit.at < timedelta(0):
        yield "at: must not be before the beginning"
    wanted = _EDIT_KEYS[edit.kind]
    given = {
        key for keys in _EDIT_KEYS.values() for key in keys if getattr(edit, key) is not None
    }
    for key in sorted(given - set(wanted)):
        yield f'{key}: means nothing for kind "{edit.kind.value}"; remove it'
    if wanted and not given & set(wanted) and edit.kind is not EditKind.DECLINE:
        yield f'kind: "{edit.kind.value}" needs {" or ".join(wanted)}'
    if edit.by is not None and event.duration + edit.by <= timedelta(0):
        yield "by: leaves nothing of the event"
    decliner = edit.attendee or owner
    invited = {attendee.email for attendee in event.attendees}
    if edit.kind is EditKind.DECLINE and decliner not in invited:
        yield f'attendee: "{decliner}" is not invited to "{event.id}"'


def _person_contradictions(person: ScenarioPerson) -> Iterator[str]:
    if person.leaves_at is not None and person.leaves_at <= person.enters_at:
        yield "leaves_at: must be after enters_at"
        return
    acts = [(f"says #{number}.at", said.at) for number, said in enumerate(person.says, 1)]
    acts += [(f"writes #{number}.at", said.at) for number, said in enumerate(person.writes, 1)]
    acts += [(key, at) for key, at, _ in person.acts()]
    for key, at in acts:
        if at < person.enters_at or (person.leaves_at is not None and at > person.leaves_at):
            yield f"{key}: is outside of enters_at to leaves_at"
