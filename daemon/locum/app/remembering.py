"""Memory in the daemon and for commands: wired to the ledger, which it is made from.

Memory must never keep the daemon from attending: where its file can't be used, the log says
so, nothing is remembered, and the next start takes in what was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog

from locum.app.places import memory_path, wishes_path
from locum.config.model import Config
from locum.control import Handler
from locum.core.compartments import CompartmentRule
from locum.core.consent import series_of
from locum.core.minutes import Commitment
from locum.core.model import Meeting, MeetingKey, SeriesKey
from locum.core.remembered import Compartment, Kind, LineId, Quoted, Remembered, Standing
from locum.errors import LocumError, PermanentError
from locum.ledger import Ledger
from locum.memory import (
    Boundaries,
    Face,
    Forgotten,
    Hit,
    Memory,
    MemoryDamagedError,
    MemoryFile,
    MemoryFileError,
    WishFile,
    open_file,
)
from locum.ports import Answer, Brain, Clock, Passage, Summary

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 3600.0
_LOOKED_AT_ANEW = 50
"""Of so many meetings, the last ones, it is checked that the newest edition is known."""

_LONGEST_ANSWER = 4000  # Characters.

_MOST_LINES = 200  # Of a series, for one briefing.
_MOST_PEOPLE = 30
_MOST_OF_ONE = 20

_RULED = {each.value: each for each in (Standing.DONE, Standing.DROPPED, Standing.OPEN)}
"""How a commitment may stand by its owner's word."""

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True)
class MemorySetting:
    enabled: bool
    boundaries: Boundaries
    keep: timedelta | None


def memory_of(config: Config) -> MemorySetting:
    table = config.memory
    return MemorySetting(
        enabled=table.enabled,
        boundaries=Boundaries(
            own_domains=table.own_domains,
            rules=tuple(CompartmentRule(c.name, c.attendees) for c in table.compartments),
        ),
        keep=table.keep,
    )


# ── in the daemon ────────────────────────────────────────────────────────────────────────


class Remembering:
    """The daemon's memory, or a command's while no daemon runs: the caller has the lock."""

    def __init__(
        self, state: Path, ledger: Ledger | None, clock: Clock, setting: MemorySetting
    ) -> None:
        """Open memory; a damaged file is put aside, one that can't be used is told in the log.

        Without a ledger, nothing is made anew.
        """
        self._state = state
        self._ledger = ledger
        self._clock = clock
        self._setting = setting
        self._behind = asyncio.Event()
        self._memory: Memory | None = None
        self.problem: LocumError | None = None
        """Why there is no memory now."""
        self._open()

    def _open(self) -> None:
        try:
            file, is_new = open_file(memory_path(self._state), now=self._clock.now())
            try:
                wishes = WishFile(wishes_path(self._state))
            except BaseException:
                file.close()
                raise
        except LocumError as error:
            self.problem = error
            _log.error("memory_unusable", problem=str(error))
            return
        self.problem = None
        self._memory = Memory(file, wishes, self._setting.boundaries)
        if is_new:
            self._behind.set()

    def change(self, setting: MemorySetting) -> None:
        self._setting = setting
        if self._memory is not None:
            self._memory.boundaries = setting.boundaries

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()

    def _do(self, action: Callable[[Memory], _ResultT]) -> _ResultT:
        """Do something with memory; damage that it meets is put aside, and it is done anew.

        Raises:
            LocumError: As `Memory`, or `problem`.
        """
        try:
            return action(self._usable())
        except MemoryDamagedError as error:
            _log.error("memory_damaged", problem=str(error))
            self.close()
            self._memory = None
            self._open()
            self._behind.set()
            return action(self._usable())

    def _usable(self) -> Memory:
        if self._memory is None:
            raise self.problem or PermanentError("There is no memory.")
        return self._memory

    # What the debrief asks and tells.

    def recall(self, meeting: Meeting) -> tuple[Commitment, ...]:
        """Answer what earlier meetings of a series left open, for whoever is invited now."""
        if not self._setting.enabled:
            return ()
        today = meeting.start.astimezone().date()
        return self._do(
            lambda memory: memory.open_commitments(
                series_of(meeting.occurrence),
                memory.boundaries.of_meeting(meeting),
                today=today,
                before=meeting.start,
            )
        )

    @property
    def boundaries(self) -> Boundaries:
        return self._setting.boundaries

    def lines(self, meeting: Meeting, audience: Compartment) -> tuple[Remembered, ...]:
        """Answer what a meeting's briefing may draw on."""
        if not self._setting.enabled:
            return ()
        return self._do(lambda memory: lines_for(memory, meeting, audience))

    def remember(self, summary: Summary) -> None:
        if self._setting.enabled and not self._is_too_old(summary.start):
            self._do(lambda memory: memory.remember(summary))

    def _is_too_old(self, start: datetime) -> bool:
        return self._setting.keep is not None and start < self._clock.now() - self._setting.keep

    # What goes on beside.

    async def run(self) -> None:
        """Take in what is missing, then forget in time what is too old; for ever."""
        self._behind.set()
        while True:
            if self._memory is None:
                self._open()  # The disk may have room again.
            if self._behind.is_set():
                self._behind.clear()
                await self.catch_up()
            self._expire()
            try:
                await asyncio.wait_for(self._behind.wait(), _LOOK_EVERY_S)
            except asyncio.TimeoutError:
                continue

    async def catch_up(self) -> int:
        """Take in the summaries that the ledger has and memory lacks; answers how many.

        The loop goes on meanwhile.
        """
        if self._ledger is None or not self._setting.enabled or self._memory is None:
            return 0
        taken = 0
        try:
            known = self._do(lambda memory: memory.known())
            there = self._ledger.outbox.meetings()
            for number, place in enumerate(there):
                edition = known.get(place)
                if edition is not None and number < len(there) - _LOOKED_AT_ANEW:
                    continue
                summary = self._ledger.outbox.summary(*place)
                if summary is not None and (edition is None or edition < summary.edition):
                    self.remember(summary)
                    taken += 1
                await asyncio.sleep(0)
        except LocumError as error:
            _log.error("memory_not_caught_up", problem=str(error), taken=taken)
            return taken
        if taken:
            _log.info("memory_caught_up", meetings=taken)
        return taken

    def _expire(self) -> None:
        keep = self._setting.keep
        if keep is None or self._memory is None:
            return
        try:
            done = self._do(lambda memory: memory.forget_before(self._clock.now() - keep))
        except LocumError as error:
            _log.error("memory_not_expired", problem=str(error))
            return
        if done.lines or done.sentences:
            _log.info("memory_expired", lines=done.lines, sentences=done.sentences)

    # ── what a person asks for ───────────────────────────────────────────────────────────

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "memory-forget": self._forget,
            "memory-approve": self._approve,
            "memory-settle": self._settle,
        }

    async def _forget(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        done = self.forget(args)
        return {"lines": done.lines, "sentences": done.sentences}

    async def _approve(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.approve(LineId(_text(args, "line")), approved=bool(args.get("approved", True)))
        return {}

    async def _settle(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.settle(args)
        return {}

    def forget(self, args: Mapping[str, Any]) -> Forgotten:
        """Forget one `line`, `meeting` or `series` by its key, or a `person` by their faces.

        Raises:
            PermanentError: None of these is named.
        """
        now = self._clock.now()
        if "line" in args:
            line = LineId(_text(args, "line"))
            return self._do(lambda memory: memory.forget_line(line, at=now))
        if "meeting" in args:
            meeting = MeetingKey(_text(args, "meeting"))
            return self._do(lambda memory: memory.forget_meeting(meeting, at=now))
        if "series" in args:
            series = SeriesKey(_text(args, "series"))
            return self._do(lambda memory: memory.forget_series(series, at=now))
        faces = _faces(args.get("person"))
        return self._do(lambda memory: memory.forget_person(faces, at=now))

    def approve(self, line: LineId, *, approved: bool) -> None:
        self._do(lambda memory: memory.approve(line, approved=approved))

    def settle(self, args: Mapping[str, Any]) -> None:
        """Let the commitment `line` stand as `standing` says; without it, as its meetings say.

        Raises:
            PermanentError: No line is named, or there is no such standing.
        """
        line, name, now = LineId(_text(args, "line")), args.get("standing"), self._clock.now()
        try:
            standing = None if name is None else _RULED[name]
        except (KeyError, TypeError):
            raise PermanentError(f"standing is one of {', '.join(_RULED)}.") from None
        self._do(lambda memory: memory.rule(line, standing, at=now))


def _text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value.strip():
        raise PermanentError(f"The command needs {name}.")
    return value


def _faces(value: Any) -> list[Face]:
    if not isinstance(value, list) or not value:
        raise PermanentError("The command needs a line, a meeting, a series or a person.")
    faces = []
    for each in value:
        if not isinstance(each, list) or [type(part) for part in each] != [str, str]:
            raise PermanentError("A person is given as pairs of name and address.")
        faces.append((each[0], each[1]))
    return faces


def lines_for(
    memory: Memory, meeting: Meeting, audience: Compartment
) -> tuple[Remembered, ...]:
    """Answer what is known of a meeting's series, and of the people who are invited."""
    found = list(
        memory.of_series(series_of(meeting.occurrence), compartment=audience, limit=_MOST_LINES)
    )
    for attendee in meeting.attendees[:_MOST_PEOPLE]:
        if not attendee.is_self and attendee.person.email:
            found += memory.of_person(
                attendee.person.email, compartment=audience, limit=_MOST_OF_ONE
            )
    return tuple({line.id: line for line in found}.values())


# ── for commands that only read ──────────────────────────────────────────────────────────


def read_memory(state: Path) -> Memory | None:
    """Open memory to read it; None where none was made yet. The caller closes it.

    Raises:
        MemoryFileError: It can't be read; the message says what to do.
    """
    path = memory_path(state)
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise MemoryFileError(
            f"The memory {path} can't be read ({error.strerror}). "
            "Run the command as the user that the daemon runs as."
        ) from error
    try:
        file = MemoryFile(path, read_only=True)
    except MemoryDamagedError as error:
        raise MemoryFileError(
            f"{error} The daemon makes it anew when it starts: `locum run`."
        ) from error
    if file.outdated:
        file.close()
        raise MemoryFileError(
            f"The memory {path} was written by an older locum. Start the daemon once "
            "(locum run): that brings it up to date."
        )
    # Whoever only reads takes nothing in, and so needs no wishes and no boundaries.
    return Memory(file, WishFile(wishes_path(state)), Boundaries())


def model_of(config: Config, environ: Mapping[str, str], clock: Clock) -> Brain | None:
    """Answer the model that is asked; None without one: then the lines are the answer."""
    if config.brain is None:
        return None
    from locum.app.parts import brain_of
    from locum.brains.extractive.brain import ExtractiveBrain

    # Should the model fail, what was found is shown as it is, and why.
    table = config.brain.model_copy(update={"fallback": False})
    alone = config.model_copy(update={"brain": table})
    return brain_of(alone, environ, clock=clock, plain=ExtractiveBrain())


async def answer(
    memory: Memory,
    question: str,
    *,
    brain: Brain | None = None,
    compartment: Compartment | None = None,
    limit: int = 8,
) -> tuple[Answer | None, Sequence[Hit], str]:
    """Answer a question with what memory has on it, and in a brain's words where there is one.

    Returns:
        The brain's answer (None without one, or where it couldn't), the lines that were found,
        and why the brain gave no answer, if it was asked.
    """
    hits = memory.answers(question, compartment=compartment, limit=limit)
    if brain is None or not hits:
        return None, hits, ""
    passages = memory.passages(question, compartment=compartment, limit=limit)
    try:
        found = await brain.answer(question, passages)
    except LocumError as error:
        return None, hits, str(error)
    return _held_to(found, passages), hits, ""


def _held_to(found: Answer | None, passages: Sequence[Passage]) -> Answer | None:
    """Let an answer through only with citations that were really there."""
    if found is None or not found.text.strip():
        return None
    known = {each.id for each in passages}
    cited = tuple(dict.fromkeys(each for each in found.cited if each in known))
    return Answer(found.text.strip()[:_LONGEST_ANSWER], cited) if cited else None


def line_json(line: Remembered, today: date) -> dict[str, Any]:
    """Write a line as plain JSON values; instants in ISO 8601."""
    told: dict[str, Any] = {
        "id": line.id,
        "kind": line.kind.value,
        "text": line.text,
        "meeting": line.meeting,
        "series": line.series,
        "title": line.title,
        "at": line.at.isoformat(),
        "compartment": line.compartment,
        "topic": line.topic,
        "approved": line.approved,
        "quotes": [
            {
                "quote": quote.quote,
                "utterance": quote.utterance,
                "speaker": quote.speaker,
                "at": None if quote.at is None else quote.at.isoformat(),
                "meeting": quote.meeting or line.meeting,
            }
            for quote in line.quotes
            if isinstance(quote, Quoted)
        ],
    }
    if line.kind is Kind.COMMITMENT:
        late = line.standing is Standing.OPEN and line.due is not None and line.due < today
        told |= {
            "owner": line.owner,
            "due": None if line.due is None else line.due.isoformat(),
            "standing": line.standing.value,
            "late": late,
            "settled_by": line.settled_by,
            "by_hand": line.by_hand,
            "same_as": line.same_as,
        }
    return told
