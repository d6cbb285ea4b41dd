"""What a rehearsal plays: a day's invitations, edits, people and faults, out of a TOML file.

Pure data: offsets are counted from the rehearsal's beginning, and others put them on the
stage. A file may come from anywhere, so it is capped, checked whole, and refused with every
problem at once.
"""

from __future__ import annotations

import difflib
import enum
import functools
import itertools
import math
import re
import reprlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from locum.core.model import Answer
from locum.errors import ConfigError
from locum.rehearsal.faults import Fault
from locum.rehearsal.model import ModelSettings
from locum.rehearsal.pikastate import PikaSettings
from locum.rehearsal.rooms import RoomStep, StepKind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_FILE = 256 * 1024
_LONGEST_DAYS = 400
_SHOWN_PROBLEMS = 20
_STRICT = ConfigDict(extra="forbid")
# A dotted key costs the square of its parts to read: 20,000 of them take half a minute.
_ENDLESS_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}"""
)

_FAULT_FIELDS = "(its fields)"  # No key that a file would have by chance.
_PLAIN_KEY = re.compile(r"[\w-]{1,64}")


def _seconds(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number of seconds")  # noqa: TRY004 - pydantic collects ValueErrors.
    if not (math.isfinite(value) and abs(value) <= _LONGEST_DAYS * 86_400):
        raise ValueError(f"must be a number of seconds within {_LONGEST_DAYS} days")
    return timedelta(seconds=value)


Offset = Annotated[timedelta, BeforeValidator(_seconds)]
"""Seconds of stage time since the rehearsal's beginning; negative is before it."""

Address = Annotated[str, Field(pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}$")]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=20_000)]
MeetCode = Annotated[str, Field(pattern=r"^[a-z]{3}-[a-z]{4}-[a-z]{3}$")]


@dataclass(frozen=True)
class Owner:
    """Whose calendar is watched, and whom the stand-in stands in for."""

    __pydantic_config__ = _STRICT
    email: Address
    name: Name


@dataclass(frozen=True)
class ScenarioPersona:
    __pydantic_config__ = _STRICT
    display_name: Name = "Robin"
    instructions: Text = ""


@dataclass(frozen=True)
class ScenarioAttendee:
    """`answer` is as Google writes it: accepted, declined, tentative or needsAction."""

    __pydantic_config__ = _STRICT
    email: Address
    name: str = ""
    answer: Answer = Answer.UNANSWERED
    optional: bool = False


@dataclass(frozen=True)
class ScenarioEvent:
    """One invitation. The owner is invited only if listed; `recurrence` holds RRULE lines."""

    __pydantic_config__ = _STRICT
    id: EventId
    title: Text
    starts_at: Offset
    duration: Offset
    organizer: Address
    organizer_name: str = ""
    attendees: tuple[ScenarioAttendee, ...] = ()
    meet: MeetCode | None = None
    description: Text = ""
    location: Text = ""
    recurrence: tuple[Annotated[str, Field(max_length=500)], ...] = ()

    @property
    def ends_at(self) -> timedelta:
        return self.starts_at + self.duration

    @property
    def meet_url(self) -> str | None:
        return None if self.meet is None else f"https://meet.google.com/{self.meet}"


class EditKind(enum.Enum):
    PATCH = "patch"  #: New `title`, `description`, `location` or `meet`.
    CANCEL = "cancel"
    EXTEND = "extend"  #: The end moves `by` seconds (negative: earlier).
    MOVE = "move"  #: The start moves `to` another offset, the duration stays.
    DECLINE = "decline"  #: `attendee` declines; the owner if none is given.


@dataclass(frozen=True)
class ScenarioEdit:
    """What somebody changes in the calendar at `at`."""

    __pydantic_config__ = _STRICT
    at: Offset
    event: EventId
    kind: EditKind
    by: Offset | None = None
    to: Offset | None = None
    attendee: Address | None = None
    title: Text | None = None
    description: Text | None = None
    location: Text | None = None
    meet: MeetCode | None = None


@dataclass(frozen=True)
class Says:
    __pydantic_config__ = _STRICT
    at: Offset
    text: Annotated[str, Field(min_length=1, max_length=2_000)]


@dataclass(frozen=True)
class ScenarioPerson:
    """One visit of one person to one room; who comes back is listed twice."""

    __pydantic_config__ = _STRICT
    name: Name
    room: Annotated[str, Field(pattern=r"^([a-z]{3}-[a-z]{4}-[a-z]{3}|\d{9,11})$")]
    enters_at: Offset
    leaves_at: Offset | None = None
    says: tuple[Says, ...] = ()
    removes_bots_at: Offset | None = None
    ends_meeting_at: Offset | None = None

    def offsets(self) -> Iterator[timedelta]:
        yield from (said.at for said in self.says)
        yield from (
            at
            for at in (
                self.enters_at,
                self.leaves_at,
                self.removes_bots_at,
                self.ends_meeting_at,
            )
            if at is not None
        )


class FaultTarget(enum.Enum):
    GOOGLE = "google"
    PIKASTREAM = "pikastream"
    MODEL = "model"


@dataclass(frozen=True)
class ScenarioFault:
    """A fault armed at `at`. In the file its fields stand beside `target` and `at`."""

    __pydantic_config__ = _STRICT
    target: FaultTarget
    at: Offset
    fault: Annotated[Fault, Field(alias=_FAULT_FIELDS)]


@dataclass(frozen=True)
class ScenarioMeet:
    """Google Meet's own transcription: on in `rooms`, or in all of them where none is named.

    The transcript is ready `transcripts_after` seconds after a meeting's end; `ready = false`
    is never.
    """

    __pydantic_config__ = _STRICT
    transcripts_after: Annotated[Offset, Field(ge=timedelta(0))] = timedelta(minutes=3)
    rooms: tuple[MeetCode, ...] = ()
    ready: bool = True
    smart_notes: bool = False


@dataclass(frozen=True)
class Scenario:
    """`kill_daemon_at`: when the daemon is killed without warning and started anew.

    With `model`, a language model on the stage writes the minutes.
    """

    __pydantic_config__ = _STRICT
    title: Name
    owner: Owner
    events: tuple[ScenarioEvent, ...]
    description: Text = ""
    persona: ScenarioPersona = ScenarioPersona()
    edits: tuple[ScenarioEdit, ...] = ()
    people: tuple[ScenarioPerson, ...] = ()
    faults: tuple[ScenarioFault, ...] = ()
    kill_daemon_at: tuple[Offset, ...] = ()
    pikastream: PikaSettings = field(default_factory=PikaSettings)
    model: ModelSettings | None = None
    meet: ScenarioMeet | None = None

    @property
    def ends_at(self) -> timedelta:
        """Answer the offset after which nothing more is planned."""
        return max(
            timedelta(0),
            *self.kill_daemon_at,
            *(event.ends_at for event in self.events),
            *(edit.at for edit in self.edits),
            *(offset for person in self.people for offset in person.offsets()),
            *(fault.at for fault in self.faults),
            *self._edited_ends(),
        )

    def event(self, event_id: str) -> ScenarioEvent:
        """Answer the event of that id.

        Raises:
            KeyError: There is none.
        """
        for event in self.events:
            if event.id == event_id:
                return event
        raise KeyError(event_id)

    def room_steps(self, beginning: datetime) -> tuple[RoomStep, ...]:
        """Answer what the people do, for `Rooms.expect`."""
        steps: list[RoomStep] = []
        for person in self.people:
            planned: list[tuple[timedelta | None, StepKind, str]] = [
                (person.enters_at, StepKind.ENTER, ""),
                *((said.at, StepKind.SAY, said.text) for said in person.says),
                (person.removes_bots_at, StepKind.REMOVE_BOTS, ""),
                (person.ends_meeting_at, StepKind.CLOSE, ""),
                (person.leaves_at, StepKind.LEAVE, ""),
            ]
            steps += [
                RoomStep(beginning + at, person.room, kind, person.name, text)
                for at, kind, text in planned
                if at is not None
            ]
        return tuple(sorted(steps, key=lambda step: step.at))

    def _edited_ends(self) -> Iterator[timedelta]:
        times = {event.id: (event.starts_at, event.duration) for event in self.events}
        for edit in sorted(self.edits, key=lambda one: one.at):
            start, duration = times[edit.event]
            if edit.to is not None:
                start = edit.to
            if edit.by is not None:
                duration += edit.by
            times[edit.event] = start, duration
            yield start + duration


# ── finding and reading ──────────────────────────────────────────────────────────────────


def builtin_scenarios() -> dict[str, Path]:
    """Answer the scenarios that come with locum, by name."""
    folder = Path(__file__).parent / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_scenario(name_or_path: str) -> Path:
    """Answer the file of a built-in scenario, or the path itself.

    Raises:
        ConfigError: Neither a built-in scenario nor a file.
    """
    builtin = builtin_scenarios()
    if name_or_path in builtin:
        return builtin[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = ", ".join(builtin)
    raise ConfigError((f"no scenario {name_or_path!r}: give a file's path, or one of {known}",))


def load_scenario(path: Path) -> Scenario:
    """Read and check a scenario.

    Raises:
        ConfigError: It can't be read or isn't right; each problem names file and key.
    """
    if path.exists() and not path.is_file():
        raise ConfigError((f"{path.name}: is no file; give a readable TOML file",))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = error.strerror or "can't be read"
        raise ConfigError((f"{path.name}: {reason}; give a readable TOML file",)) from error
    return parse_scenario(content, name=path.name)


def parse_scenario(content: bytes, *, name: str = "scenario") -> Scenario:
    """Check what a scenario's file holds; as `load_scenario`."""
    try:
        scenario = _adapter().validate_python(_with_nested_faults(_read_toml(content, name)))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(each) for each in found[:_SHOWN_PROBLEMS]]
        raise _refused(name, problems, more=len(found) - len(problems)) from None
    # One more than is shown; all of them could take minutes, for the suggestions.
    if problems := list(itertools.islice(_contradictions(scenario), _SHOWN_PROBLEMS + 1)):
        raise _refused(name, problems)
    return scenario


@functools.lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Scenario]:
    return TypeAdapter(Scenario)


def _read_toml(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LARGEST_FILE:
        raise _refused(name, [f"is larger than {LARGEST_FILE // 1024} KiB; shorten it"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(name, [f"byte {error.start}: not UTF-8; save it as UTF-8"]) from None
    if match := _ENDLESS_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise _refused(name, [f"line {line}: a key of over 32 parts; use a [table]"])
    try:
        return dict(_with_readable_numbers(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise _refused(name, [f"not TOML: {error}"]) from None
    except RecursionError:
        raise _refused(name, ["arrays or tables are nested too deeply; flatten them"]) from None
    except ValueError as error:
        # Not every refusal of the parser is its own: an integer of 5,000 digits isn't.
        raise _refused(name, [f"a value can't be read: {error}"]) from None


def _with_readable_numbers(value: Any) -> Any:
    """Refuse 0xfff… of any length: such a number fits no float, and can't even be shown."""
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (dict, list)):
            _with_readable_numbers(item)
        elif isinstance(item, int) and item.bit_length() > 64:
            raise ValueError("a number of over 64 bits")
    return value


def _with_nested_faults(raw: dict[str, Any]) -> dict[str, Any]:
    """Gather the fields of each fault, which stand flat in the file for the writer's sake."""
    faults = raw.get("faults")
    if not isinstance(faults, list):
        return raw
    return {**raw, "faults": [_with_nested_fault(entry) for entry in faults]}


def _with_nested_fault(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    outer = {key: entry[key] for key in ("target", "at") if key in entry}
    inner = {key: value for key, value in entry.items() if key not in outer}
    if inner.get("times") == "always":
        inner["times"] = None  # TOML has no null.
    known = {each.name for each in fields(Fault)}
    strangers = {key: value for key, value in inner.items() if key not in known}
    fault = {key: value for key, value in inner.items() if key in known}
    # A stranger stands beside them, where it is refused like any other unknown key.
    return {**strangers, **outer, _FAULT_FIELDS: fault}


# ── what is wrong ────────────────────────────────────────────────────────────────────────


def _refused(name: str, problems: list[str], *, more: int = 0) -> ConfigError:
    shown = [f"{name}: {problem}" for problem in problems[:_SHOWN_PROBLEMS]]
    if more or len(problems) > len(shown):
        shown.append(f"{name}: … and {f'{more} ' if more else ''}more problems")
    return ConfigError(tuple(shown))


def _known_keys() -> set[str]:
    tables = (
        *(Scenario, Owner, ScenarioPersona, ScenarioEvent, ScenarioAttendee, ScenarioEdit),
        *(
            ScenarioPerson,
            Says,
            ScenarioFault,
            Fault,
            PikaSettings,
            ModelSettings,
            ScenarioMeet,
        ),
    )
    return {entry.name for table in tables for entry in fields(table)} - {"fault"}


def _problem(error: Any) -> str:
    """Write one of pydantic's findings as key, fault and value."""
    loc = [part for part in error["loc"] if part != _FAULT_FIELDS]
    kind = error["type"]
    if kind == "unexpected_keyword_argument":
        key = str(loc.pop())
        near = difflib.get_close_matches(key, sorted(_known_keys()), n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        return f"{_where(loc)}unknown key {reprlib.repr(key)}.{hint}"
    if kind == "missing":
        key = str(loc.pop())
        return f'{_where(loc)}"{key}" is missing'
    if kind.startswith("dataclass"):
        return f"{_where(loc)}must be a table, not {reprlib.repr(error['input'])}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{_where(loc)}{said}, not {reprlib.repr(error['input'])}"


def _where(loc: list[Any]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f" #{part + 1}"  # Counted as a person counts.
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else reprlib.repr(part)
            path += f".{key}" if path else key
    return f"{path}: " if path else ""


def _contradictions(scenario: Scenario) -> Iterator[str]:
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
    if person.removes_bots_at is not None:
        acts.append(("removes_bots_at", person.removes_bots_at))
    if person.ends_meeting_at is not None:
        acts.append(("ends_meeting_at", person.ends_meeting_at))
    for key, at in acts:
        if at < person.enters_at or (person.leaves_at is not None and at > person.leaves_at):
            yield f"{key}: is outside of enters_at to leaves_at"
